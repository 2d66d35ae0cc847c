"""The data as people look at it: snapshots, growth, balance, what was set aside, the samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from everloop.data.annotations import Annotation
from everloop.data.bad_files import Quarantined
from everloop.data.catalogue.questions import Placed
from everloop.ids import Json, SampleId
from everloop.loop.measured import Answered
from everloop.web.views.review import told

_WIDE, _HIGH = 600.0, 120.0


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """One snapshot."""

    id: str
    taken: str
    train: int
    holdout: int
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How often a label stands, and its part of the most frequent one's."""

    label: str
    count: int
    part: float


@dataclass(frozen=True, slots=True)
class Tile:
    """One sample of the browser."""

    id: SampleId
    number: int
    label: str
    by: str
    side: str
    origin: str
    said: str = ""
    """What a model says of it, where that is asked for."""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class DataView:
    """The page above the browser."""

    samples: int
    train: int
    holdout: int
    snapshots: tuple[SnapshotRow, ...]
    """Newest first."""
    growth: str
    """Points of a line, `x,y x,y`, in a box of 600 by 120; empty for fewer than two snapshots."""
    balance: tuple[ClassCount, ...]
    quarantine: tuple[tuple[str, int], ...]
    set_aside: tuple[Quarantined, ...]


def data_view(
    *,
    samples: int,
    labelled: Mapping[str, int],
    snapshots: Sequence[Mapping[str, Json]],
    balance: Mapping[str, int],
    quarantine: Sequence[Quarantined],
    most: int = 20,
) -> DataView:
    """The page's view; `snapshots` oldest first, as `Snapshots.described` tells them."""
    rows = [_row(each) for each in snapshots]
    reasons: dict[str, int] = {}
    for file in quarantine:
        reasons[file.reason] = reasons.get(file.reason, 0) + 1
    return DataView(
        samples=samples,
        train=labelled.get("train", 0),
        holdout=labelled.get("holdout", 0),
        snapshots=tuple(reversed(rows))[:most],
        growth=growth([row.train + row.holdout for row in rows]),
        balance=counted(balance),
        quarantine=tuple(sorted(reasons.items(), key=lambda item: -item[1])),
        set_aside=tuple(reversed(quarantine))[:most],
    )


def _row(told: Mapping[str, Any]) -> SnapshotRow:
    return SnapshotRow(
        str(told["id"]),
        str(told["taken_at"])[:19].replace("T", " "),
        int(told["train"]),
        int(told["holdout"]),
        tuple(map(str, told.get("tags", ()))),
    )


def growth(sizes: Sequence[int]) -> str:
    """A line through the sizes of snapshots, the largest at the top.

    >>> growth([50, 100])
    '0,60 600,0'
    """
    if len(sizes) < 2:
        return ""
    top, step = max(*sizes, 1), _WIDE / (len(sizes) - 1)
    points = ((i * step, _HIGH * (1 - size / top)) for i, size in enumerate(sizes))
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def counted(balance: Mapping[str, int], most: int = 40) -> tuple[ClassCount, ...]:
    """The labels, most frequent first."""
    ordered = sorted(balance.items(), key=lambda item: (-item[1], item[0]))[:most]
    top = max((count for _, count in ordered), default=1) or 1
    return tuple(ClassCount(label, count, count / top) for label, count in ordered)


def tiles(
    found: Sequence[tuple[int, SampleId]],
    labels: Mapping[SampleId, Annotation],
    places: Mapping[SampleId, Placed],
    answers: Mapping[SampleId, Answered] = MappingProxyType({}),
) -> tuple[Tile, ...]:
    """The samples of one page of the browser; `answers`: what a model says of them."""
    return tuple(
        Tile(
            sample,
            number,
            told(labels[sample].label) if sample in labels else "",
            labels[sample].by if sample in labels else "",
            places[sample].side if sample in places else "",
            places[sample].origin if sample in places else "",
            told(answers[sample].said) if sample in answers else "",
            answers[sample].confidence if sample in answers else None,
        )
        for number, sample in found
    )
