"""Samples: the original bytes in one dataset, what is known of them in another."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from everloop.data.catalogue.questions import Catalogue, Placed
from everloop.data.forgotten import Forgotten
from everloop.data.schemas import Tables
from everloop.data.splits import Side, SplitRule
from everloop.data.tables import text
from everloop.errors import Conflict, Refused
from everloop.ids import SampleId
from everloop_runtime.ids import canonical_json, sample_id

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_BATCH_BYTES = 32_000_000
_BATCH_ROWS = 20_000
_NAMED = 500
"""More samples than this are not named in one look-up."""


_NOTHING: Mapping[str, str] = MappingProxyType({})


class NewSample(NamedTuple):
    """A sample on its way in."""

    data: bytes
    name: str
    """What its source calls it."""
    source: str
    origin: str
    """Where it comes from, as people tell slices apart: a source's name or `production`."""
    format: str = ""
    width: int = 0
    height: int = 0
    group: str | None = None
    """Samples of one group (one patient, one session) stay on one side."""
    subject: str | None = None
    """Whom it is about."""
    taken_at: datetime | None = None
    """When it came about; UTC where it names no zone."""
    given_side: Side | None = None
    """The side that its source gives it."""
    meta: Mapping[str, str] = _NOTHING
    """What else is known of it, such as its camera."""
    id: SampleId | None = None
    """The hash of `data`, by whoever took it already; None: it is taken here."""


class Samples:
    """Named by the hash of their bytes; the bytes are never changed.

    Bytes before fact: a fact may never name missing bytes. A crash in between leaves bytes that
    no fact names; the next attempt finds them and adds the fact only.
    """

    def __init__(self, tables: Tables, catalogue: Catalogue, forgotten: Forgotten) -> None:
        self._forgotten = forgotten
        self._bytes = tables.bytes
        self._facts = tables.facts
        self._catalogue = catalogue

    def add(
        self, samples: Iterable[NewSample], now: datetime, *, split: SplitRule
    ) -> tuple[SampleId, ...]:
        """Store what is new and return its ids; what is known already stays as it is.
        What was forgotten is passed over.

        Reads `samples` once, in batches of bounded size; while a full one is stored, the next is
        read. The side of a new sample is fixed here for good, by `split`.
        """
        added: list[SampleId] = []
        with ThreadPoolExecutor(1, "everloop-add") as pool:
            storing: Future[list[SampleId]] | None = None
            for batch, is_full in _batches(samples):
                if storing is not None:
                    added += storing.result()
                    storing = None
                if is_full:
                    storing = pool.submit(self._add, batch, now, split)
                else:
                    added += self._add(batch, now, split)
            if storing is not None:
                added += storing.result()
        return tuple(added)

    def _add(self, batch: Sequence[NewSample], now: datetime, split: SplitRule) -> list[SampleId]:
        brought = {sample.id or sample_id(sample.data): sample for sample in batch}
        known, stored = self._catalogue.present(list(brought))
        passed = known | self._forgotten.ids()
        new = {name: sample for name, sample in brought.items() if name not in passed}
        if new:
            self._add_bytes({n: sample.data for n, sample in new.items() if n not in stored})
            self._add_facts(new, now, split)
        return list(new)

    def _add_bytes(self, rows: Mapping[SampleId, bytes]) -> None:
        if rows:
            table = self._bytes.table({"id": list(rows), "data": list(rows.values())})
            self._bytes.append(table)

    def _add_facts(
        self, new: Mapping[SampleId, NewSample], now: datetime, split: SplitRule
    ) -> None:
        values = zip(*new.values(), strict=True)
        columns: dict[str, Sequence[Any]] = dict(zip(NewSample._fields, values, strict=True))
        columns["id"] = list(new)
        columns["side"] = self._decide(new, split)
        columns["added_at"] = [now] * len(new)
        columns["meta"] = [_meta(meta) for meta in columns["meta"]]
        self._facts.append(self._facts.table(columns))

    def _decide(self, new: Mapping[SampleId, NewSample], split: SplitRule) -> list[Side]:
        groups = {sample.group for sample in new.values() if sample.group is not None}
        taken = self._catalogue.group_sides(sorted(groups))
        sides = []
        for name, sample in new.items():
            side = split.side(
                name,
                given=sample.given_side,
                group=sample.group,
                group_side=taken.get(sample.group or ""),
                taken_at=sample.taken_at,
            )
            if sample.group is not None:
                taken.setdefault(sample.group, side)
            sides.append(side)
        return sides

    def read(self, ids: Sequence[SampleId]) -> list[bytes]:
        """The original bytes of samples, in the order asked for; `Refused` for unknown ones."""
        try:
            return self._read(ids)
        except Conflict:
            # Compacted between the look-up and the reading.
            return self._read(ids)

    def _read(self, ids: Sequence[SampleId]) -> list[bytes]:
        places = self.rows_of(ids)
        return self.read_rows([places[name] for name in ids])

    def rows_of(
        self, ids: Sequence[SampleId], others: Sequence[SampleId] = ()
    ) -> Mapping[SampleId, int]:
        """The row of each sample's bytes, for `read_rows`; `Refused` for unknown ones.

        `others`: looked up in the same go, and left out where they are unknown.
        """
        places = self._catalogue.rows_of_bytes([*ids, *others])
        missing = [name for name in ids if name not in places]
        if missing:
            raise Refused(f"{len(missing)} samples are not in the store, {missing[0]} among them")
        return places

    def read_rows(self, rows: "Sequence[int] | NDArray[np.int64]") -> list[bytes]:
        """Original bytes by row; `Conflict` when rows were moved or removed since `rows_of`."""
        found: list[bytes] = self._bytes.take_rows(rows, ["data"]).column("data").to_pylist()
        if len(found) != len(rows):
            raise Conflict("samples were removed from the store meanwhile; look again")
        return found

    def places(self, ids: Sequence[SampleId]) -> Mapping[SampleId, Placed]:
        """Side, origin, group and subject of samples; unknown ones are left out."""
        return self._catalogue.placed(ids)

    def all(self) -> Iterator[tuple[SampleId, Placed]]:
        """Every sample with its side, origin, group and subject. Costs the whole."""
        return self._catalogue.samples()

    def name_of(self, sample: SampleId) -> str:
        """What the source that first brought a sample calls it; empty for an unknown one."""
        rows = self._facts.rows(["name"], f"id = {text(sample)}")
        names = rows.column("name").to_pylist()
        return str(names[0]) if names else ""

    def beginning(self, prefix: str) -> Sequence[SampleId]:
        """The samples whose id begins so, in the order of their ids. Costs a look at all ids."""
        rows = self._facts.rows(["id"], f"starts_with(id, {text(prefix)})")
        return sorted(rows.column("id").to_pylist())

    def known(self, ids: Sequence[SampleId]) -> list[Mapping[str, str]]:
        """What else is known of samples, by name: their metadata and format, and nothing that names
        whom they are about. Costs a look at the whole."""
        columns = ["id", "format", "meta"]
        rows = self._facts.rows(columns, None if len(ids) > _NAMED else _among(ids))
        wanted, found = set(ids), {}
        told = zip(*(rows.column(name).to_pylist() for name in columns), strict=True)
        for name, kind, meta in told:
            if name in wanted:
                one = {"format": kind, **(json.loads(meta) if meta else {})}
                found[name] = {key: str(value) for key, value in one.items() if value}
        return [found.get(name, {}) for name in ids]

    def facts(self) -> "pa.Table":
        """All that is known of all samples, one row each, in the order they came."""
        return self._facts.rows(self._facts.columns)

    def count(self) -> int:
        """How many samples there are."""
        return self._catalogue.count()


def _among(ids: Sequence[SampleId]) -> str:
    return f"id IN ({', '.join(map(text, ids))})"


def _meta(meta: Mapping[str, str]) -> str | None:
    return canonical_json(dict(meta)).decode() if meta else None


def _batches(samples: Iterable[NewSample]) -> Iterator[tuple[list[NewSample], bool]]:
    """Batches, and whether each is full; one that is not is the last."""
    batch: list[NewSample] = []
    size = 0
    for sample in samples:
        batch.append(sample)
        size += len(sample.data)
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_ROWS:
            yield batch, True
            batch, size = [], 0
    if batch:
        yield batch, False
