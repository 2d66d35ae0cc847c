"""Taking a snapshot: everything with a standing label, pinned."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from everloop.data.store import DataStore
from everloop.ids import Json, SnapshotId

_COLUMNS = ("sample", "side", "label", "annotation", "by", "origin")


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot just taken, and its counts."""

    id: SnapshotId
    train: int
    holdout: int
    train_counts: Mapping[str, int]
    """Training samples of each class."""


def take(store: DataStore, *, classes: Sequence[str], now: datetime) -> Taken:
    """Pin every sample with a standing label of one of `classes`, on its side.

    The same content gives the same id, whatever the order in which it came.
    """
    import pyarrow as pa

    sides = store.samples.sides()
    allowed = frozenset(classes)
    standing = store.annotations.current()
    kept = sorted(s for s, a in standing.items() if s in sides and a.label in allowed)
    columns: dict[str, list[str]] = {
        "sample": list(kept),
        "side": [sides[s][0] for s in kept],
        "label": [standing[s].label for s in kept],
        "annotation": [standing[s].id for s in kept],
        "by": [standing[s].by for s in kept],
        "origin": [sides[s][1] for s in kept],
    }
    rows = pa.table({name: pa.array(columns[name], pa.string()) for name in _COLUMNS})
    rules: dict[str, Json] = {"classes": list(classes), "split": "content-hash"}
    snapshot = store.snapshots.write(rows, rules, now)
    training = Counter(
        label
        for label, side in zip(columns["label"], columns["side"], strict=True)
        if side == "train"
    )
    train = sum(training.values())
    return Taken(snapshot, train, len(kept) - train, training)
