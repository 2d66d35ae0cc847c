"""Taking a snapshot: everything with a standing label, pinned."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from everloop.data.store import DataStore
from everloop.ids import Json, SnapshotId
from everloop.labels import decode, names_in


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot just taken, and its counts."""

    id: SnapshotId
    train: int
    holdout: int
    train_counts: Mapping[str, int]
    """Training samples of each class."""


def take(
    store: DataStore,
    *,
    classes: Sequence[str],
    now: datetime,
    fits: Callable[[str], bool] | None = None,
) -> Taken:
    """Pin every sample with a standing label that fits, on its side.

    `fits` is asked of a label's text; without it one of `classes` fits.

    The same content gives the same id, whatever the order in which it came.
    """
    import pyarrow as pa

    fits = fits or frozenset(classes).__contains__
    with store.catalogue.view() as view:
        found = sorted((p for p in view.all_pinnable() if fits(p.label)), key=lambda p: p.sample)
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
        name
        for annotation, (side, _) in zip(labels, facts, strict=True)
        if side == "train"
        for name in set(names_in(decode(annotation.label)))
    )
    train = sum(side == "train" for side, _ in facts)
    return Taken(snapshot, train, len(kept) - train, training)
