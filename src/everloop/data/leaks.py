"""The port by which a snapshot is refused that would leak from one side to the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from everloop.errors import Refused
from everloop.ids import SampleId

if TYPE_CHECKING:
    import pyarrow as pa

_TOLD = 5


@dataclass(frozen=True, slots=True)
class Draft:
    """A snapshot that is about to be taken."""

    came: "pa.Table"
    """`sample`, `side`, `label`, `annotation`, `by`, `origin` of what is new or told otherwise than
    in the last snapshot by the same rules; everything, where there is none. Sorted by sample."""
    sides: Callable[[Sequence[SampleId]], Mapping[SampleId, str]]
    """The sides of those samples that will be in it; others are left out."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A training sample and a hold-out sample that tell of each other."""

    train: SampleId
    holdout: SampleId
    why: str


LeakCheck: TypeAlias = Callable[[Draft], Sequence[Leak]]
"""Finds the leaks that a draft's new rows bring, among themselves and with all other rows."""


def refuse_leaks(leaks: Sequence[Leak]) -> None:
    """Raise `Refused` when there is a leak, naming the first few and what can be done."""
    if not leaks:
        return
    told = "; ".join(
        f"{leak.train[:12]} (training) and {leak.holdout[:12]} (hold-out): {leak.why}"
        for leak in leaks[:_TOLD]
    )
    more = f" and {len(leaks) - _TOLD} more" if len(leaks) > _TOLD else ""
    raise Refused(
        f"no snapshot: {len(leaks)} pairs of samples leak from training to hold-out: {told}{more}; "
        "leave one of each out with everloop data exclude"
    )
