"""What a check says: one finding for each kind of thing that is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from everloop.ids import Json, SampleId

Weight: TypeAlias = Literal["stop", "mend", "look", "know"]
"""`stop`: no model should learn from this; `mend`: wrong, and mendable; `look`: a person should
look; `know`: worth knowing."""


@dataclass(frozen=True, slots=True)
class Item:
    """One case of a finding."""

    text: str
    samples: tuple[SampleId, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a check found, with its cases."""

    code: str
    """Stable, for programs: `near-duplicates-across-sides`."""
    weight: Weight
    title: str
    why: str
    """What it means, and the rule by which it was found, with its figures."""
    items: tuple[Item, ...]

    @property
    def count(self) -> int:
        """How many cases there are."""
        return len(self.items)

    def as_json(self, most: int | None = None) -> Mapping[str, Json]:
        """The finding, with its first `most` cases."""
        return {
            "code": self.code,
            "weight": self.weight,
            "title": self.title,
            "count": self.count,
            "why": self.why,
            "items": [
                {"text": item.text, "samples": list(item.samples)} for item in self.items[:most]
            ],
        }


def present(*findings: Finding) -> Sequence[Finding]:
    """Those that found something."""
    return [finding for finding in findings if finding.items]
