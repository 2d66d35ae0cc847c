"""Which side a sample is on: decided when it is first seen, and never again."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from everloop.ids import Json, SampleId

Side: TypeAlias = Literal["train", "holdout"]
SIDES: tuple[Side, ...] = ("train", "holdout")
SplitBy: TypeAlias = Literal["content", "group", "time"]


def side_of(sample: SampleId, holdout_share: float) -> Side:
    """The side of a sample by its content alone.

    The id is a SHA-256, so its first 64 bits are uniform; the same bytes are always on the same
    side, whoever brings them and when.

    >>> side_of(SampleId("00" * 32), 0.2)
    'holdout'
    >>> side_of(SampleId("ff" * 32), 0.2)
    'train'
    """
    return "holdout" if int(sample[:16], 16) / 2**64 < holdout_share else "train"


@dataclass(frozen=True, slots=True)
class SplitRule:
    """How new samples are divided. What is on a side already stays there, whatever the rule."""

    holdout_share: float
    by: SplitBy = "group"
    holdout_from: datetime | None = None
    """With `by="time"`: what was taken at or after this moment is hold-out."""

    def side(
        self,
        sample: SampleId,
        *,
        given: Side | None = None,
        group: str | None = None,
        group_side: Side | None = None,
        taken_at: datetime | None = None,
    ) -> Side:
        """The side of a sample that is seen for the first time.

        What the source gives goes first; then, as the rule says, the group or the time; content
        decides where the rule does not know enough. `group_side` is where the group's first
        sample went: a larger share later must not tear a group apart.

        >>> rule = SplitRule(0.2)
        >>> rule.side(SampleId("00" * 32), given="train")
        'train'
        >>> rule.side(SampleId("00" * 32), group="patient 1", group_side="train")
        'train'
        """
        if given is not None:
            return given
        if self.by == "group" and group is not None:
            digest = hashlib.sha256(group.encode("utf-8", "surrogatepass")).hexdigest()
            return group_side or side_of(SampleId(digest), self.holdout_share)
        if self.by == "time" and taken_at is not None and self.holdout_from is not None:
            moment = taken_at if taken_at.tzinfo else taken_at.replace(tzinfo=UTC)
            return "holdout" if moment >= self.holdout_from else "train"
        return side_of(sample, self.holdout_share)

    def as_json(self) -> dict[str, Json]:
        """The rule as it is written down in snapshots."""
        told: dict[str, Json] = {"by": self.by, "holdout_share": self.holdout_share}
        if self.holdout_from is not None:
            told["holdout_from"] = self.holdout_from.isoformat()
        return told
