"""What changed from one snapshot to another, at a cost that follows the change."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from everloop.data.segments import Row
from everloop.data.snapshots import Snapshot, Snapshots
from everloop.ids import SampleId, SnapshotId


class Relabelled(NamedTuple):
    """A sample whose label is another one now."""

    sample: SampleId
    old: str
    new: str
    by: str
    """Whose word the new label is."""


@dataclass(frozen=True, slots=True)
class SnapshotDiff:
    """What changed from one snapshot to another, each sorted by sample."""

    added: tuple[SampleId, ...]
    removed: tuple[SampleId, ...]
    relabelled: tuple[Relabelled, ...]
    added_by: dict[str, int]
    """How many of the added ones each person or import labelled."""


def diff(snapshots: Snapshots, old: SnapshotId, new: SnapshotId) -> SnapshotDiff:
    """What was added, removed and relabelled from `old` to `new`."""
    before, after = snapshots.open(old), snapshots.open(new)
    samples = sorted(_touched(snapshots, before, after))
    was, now = before.find(samples), after.find(samples)
    added = tuple(sample for sample in samples if sample in now and sample not in was)
    by: dict[str, int] = {}
    for sample in added:
        by[now[sample].by] = by.get(now[sample].by, 0) + 1
    return SnapshotDiff(
        added,
        tuple(sample for sample in samples if sample in was and sample not in now),
        tuple(_relabelled(samples, was, now)),
        dict(sorted(by.items())),
    )


def _relabelled(
    samples: list[SampleId], was: dict[SampleId, Row], now: dict[SampleId, Row]
) -> Iterator[Relabelled]:
    for sample in samples:
        if sample in was and sample in now and was[sample].label != now[sample].label:
            yield Relabelled(sample, was[sample].label, now[sample].label, now[sample].by)


def _touched(snapshots: Snapshots, one: Snapshot, other: Snapshot) -> set[SampleId]:
    """Samples that may differ: those of the changes between two relatives, or of the segments
    that are not common to both, whichever are fewer."""
    apart = _apart(one, other)
    deltas = _between(snapshots, one, other, sum(rows for _, rows in apart))
    keys = [key for key, _ in apart] if deltas is None else deltas
    return {
        SampleId(name.decode())
        for key in keys
        for batch in snapshots.segments.open(key).keys
        for name in batch.tolist()
    }


def _apart(one: Snapshot, other: Snapshot) -> list[tuple[str, int]]:
    first, second = one.manifest["segments"], other.manifest["segments"]
    common = 0
    while common < min(len(first), len(second)) and first[common] == second[common]:
        common += 1
    return [(key, rows) for key, rows in [*first[common:], *second[common:]]]


def _between(snapshots: Snapshots, one: Snapshot, other: Snapshot, most: int) -> list[str] | None:
    """The changes on the way between two relatives; None when that is `most` rows or more."""
    ways = {one.id: list[str](), other.id: list[str]()}
    heads, rows = [one, other], 0
    if one.id == other.id:
        return []
    while heads:
        # The younger one goes back to what it came from, until both meet.
        head = max(heads, key=lambda snapshot: str(snapshot.manifest["taken_at"]))
        heads.remove(head)
        parent = snapshots.get(SnapshotId(str(head.manifest.get("parent") or "-")))
        rows += int(head.manifest.get("delta_rows") or 0)
        if parent is None or rows >= most:
            return None
        way = [*ways.pop(head.id), str(head.manifest["delta"])]
        if parent.id in ways:
            return [*way, *ways[parent.id]]
        ways[parent.id] = way
        heads.append(parent)
    return None
