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
    kept = sorted(
        (sample, sides[sample][0], a.label, a.id, a.by, sides[sample][1])
        for sample, a in standing.items()
        if a.label in allowed and sample in sides
    )
    columns = zip(*kept, strict=True) if kept else [()] * len(_COLUMNS)
    rows = pa.table(
        {
            name: pa.array(values, pa.string())
            for name, values in zip(_COLUMNS, columns, strict=True)
        }
    )
    rules: dict[str, Json] = {"classes": list(classes), "split": "content-hash"}
    snapshot = store.snapshots.write(rows, rules, now)
    training = Counter(label for _, side, label, *_ in kept if side == "train")
    train = sum(training.values())
    return Taken(snapshot, train, len(kept) - train, training)
