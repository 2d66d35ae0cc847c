"""Taking a snapshot: everything with a standing label, pinned."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from everloop.data.store import DataStore
from everloop.ids import Json, SnapshotId


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

    allowed = frozenset(classes)
    with store.catalogue.view() as view:
        found = sorted(
            (p for p in view.all_pinnable() if p.label in allowed), key=lambda p: p.sample
        )
    kept = [p.sample for p in found]
    labels = found
    facts = [(p.side, p.origin) for p in found]
    columns = {
        "sample": kept,
        "side": [side for side, _ in facts],
        "label": [annotation.label for annotation in labels],
        "annotation": [annotation.annotation for annotation in labels],
        "by": [annotation.by for annotation in labels],
        "origin": [origin for _, origin in facts],
    }
    rows = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    rules: dict[str, Json] = {"classes": list(classes), "split": "content-hash"}
    snapshot = store.snapshots.write(rows, rules, now)
    training = Counter(
        annotation.label
        for annotation, (side, _) in zip(labels, facts, strict=True)
        if side == "train"
    )
    train = sum(training.values())
    return Taken(snapshot, train, len(kept) - train, training)
