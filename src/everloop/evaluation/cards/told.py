"""Everything a card tells of, gathered by whoever has the stores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from everloop.evaluation.comparison import Difference
from everloop.evaluation.evaluate import Evaluation
from everloop.evaluation.report import Report
from everloop.ids import Json, SampleId
from everloop.policy import CardPolicy
from everloop_runtime.bundle import BundleDraft


@dataclass(frozen=True, slots=True)
class Beside:
    """The candidate beside the champion of its day, as the gates saw them."""

    champion: str
    test: str
    p_worse: float
    differences: Mapping[str, Difference]


@dataclass(frozen=True, slots=True)
class Signed:
    """A question of the checklist and a person's answer."""

    question: str
    answer: str | None
    """None: nobody has answered."""
    comment: str = ""
    by: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """One version of a product."""

    bundle: str
    draft: BundleDraft
    evaluation: Evaluation
    said: CardPolicy
    report: Report | None = None
    """None for a version of before there were reports."""
    data: Mapping[str, Json] = field(default_factory=dict)
    """What the snapshot says of itself."""
    verdict: tuple[str, ...] = ()
    """What its gates found, each with the figures."""
    beside: Beside | None = None
    checklist: tuple[Signed, ...] = ()
    decision: str = ""
    """Who approved or rejected it, and when."""
    pictures: Mapping[SampleId, bytes] = field(default_factory=dict)
    """JPEG, of those samples whose pictures may be shown."""
    no_pictures: str = ""
    """Why there are none that there could be."""
