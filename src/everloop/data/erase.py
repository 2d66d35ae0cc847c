"""Everything that a store holds of some samples, taken out of it: tables and snapshots."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from everloop.data.blobs import open_blobs
from everloop.data.forgotten import Forgotten, Tombstone
from everloop.data.holdings import HOLDINGS, Holding, dataset_of
from everloop.data.location import Location
from everloop.data.marks import marks_of
from everloop.data.owner import owner_only
from everloop.data.rewriting import Rewriting
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import SampleId

_READ = 256


def subject_samples(store: DataStore, subject: str) -> list[SampleId]:
    """The samples about a subject that are in the store."""
    rows = Rewriting(store.place / "facts.lance")
    return sorted(SampleId(name) for name in rows.values("id", "subject", [subject]))


def bury(
    store: DataStore, samples: Sequence[SampleId], request: str, now: datetime
) -> list[Tombstone]:
    """Tombstones of all samples of a request, written before anything is removed.

    Raises `Refused` for samples that were never in the store.
    """
    check_known(store.place)
    forgotten = Forgotten(store.place)
    buried = {each.sample: each for each in forgotten.all()}
    fresh = [name for name in samples if name not in buried]
    for start in range(0, len(fresh), _READ):
        part = fresh[start : start + _READ]
        tombstones = [_tombstone(n, request, data) for n, data in _stored(store, part)]
        forgotten.add(tombstones, now)
        buried |= {each.sample: each for each in tombstones}
    # Of another request before: it counts for this one too.
    again = [
        Tombstone(name, request, buried[name].size, buried[name].marks)
        for name in samples
        if buried[name].request != request
    ]
    forgotten.add(again, now)
    return forgotten.all(request)


def _stored(store: DataStore, samples: Sequence[SampleId]) -> Iterator[tuple[SampleId, bytes]]:
    try:
        yield from zip(samples, owner_only(store.samples, samples), strict=True)
    except Refused as error:
        raise Refused(f"{error}; nothing was forgotten") from error


def _tombstone(sample: SampleId, request: str, data: bytes) -> Tombstone:
    return Tombstone(sample, request, len(data), marks_of(data))


def check_known(place: Location) -> None:
    """Raise `Refused` when the store has a dataset that `HOLDINGS` does not tell of."""
    told = {holding.dataset for holding in HOLDINGS}
    found = {name for blob in open_blobs(place).list() if (name := dataset_of(blob.key))}
    if unknown := sorted(found - told):
        raise Refused(
            f"the store has tables that forgetting does not know: {', '.join(unknown)}; "
            "tell what they hold in everloop/data/holdings.py, or move them out of the store"
        )


def remove_rows(place: Location, samples: Sequence[SampleId]) -> dict[str, int]:
    """Delete every row about the samples; how many by dataset. Safe to repeat."""
    removed = {}
    for holding in HOLDINGS:
        names = _names(place, holding, samples)
        table = Rewriting(place / holding.dataset)
        count = sum(table.remove(column, names) for column in holding.columns)
        if count:
            removed[holding.dataset] = count
    return removed


def rows_left(place: Location, samples: Sequence[SampleId]) -> dict[str, int]:
    """How many rows about the samples there are, by dataset; empty when none is left."""
    left = {}
    for holding in HOLDINGS:
        table = Rewriting(place / holding.dataset)
        names = _names(place, holding, samples)
        if count := sum(table.count(column, names) for column in holding.columns):
            left[holding.dataset] = count
    return left


def _names(place: Location, holding: Holding, samples: Sequence[SampleId]) -> list[str]:
    """What the rows about the samples are called in this dataset."""
    through = holding.through
    if through is None:
        return list(samples)
    other = Rewriting(place / through.dataset)
    values = other.values(through.value, through.sample, samples)
    # The same rendition may have come of another sample, such as an all-black one.
    return sorted(values - other.shared(through.value, values, through.sample, samples))


def purge(place: Location) -> None:
    """Rewrite what has deleted rows and drop all older versions, in every dataset."""
    for holding in HOLDINGS:
        Rewriting(place / holding.dataset).purge(ordered=holding.ordered)
