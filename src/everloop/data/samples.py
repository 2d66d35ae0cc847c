"""Samples: the original bytes in one dataset, what is known of them in another."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from everloop.data.location import Place
from everloop.data.splits import Side, SplitRule
from everloop.data.tables import LanceTable
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop_runtime.ids import canonical_json, sample_id

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_BYTES = 64_000_000
_BATCH_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class NewSample:
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
    meta: Mapping[str, str] = field(default_factory=dict)
    """What else is known of it, such as its camera."""


class Samples:
    """Named by the hash of their bytes; the bytes are never changed.

    Bytes before fact: a fact may never name missing bytes. A crash in between leaves bytes that
    no fact names; the next attempt finds them and adds the fact only.
    """

    def __init__(self, place: Place) -> None:
        import pyarrow as pa

        self._bytes = LanceTable(
            place / "bytes.lance",
            pa.schema([pa.field("id", pa.string()), pa.field("data", pa.large_binary())]),
        )
        self._facts = LanceTable(
            place / "facts.lance",
            pa.schema(
                [
                    pa.field("id", pa.string()),
                    pa.field("side", pa.string()),
                    pa.field("origin", pa.string()),
                    pa.field("source", pa.string()),
                    pa.field("name", pa.string()),
                    pa.field("format", pa.string()),
                    pa.field("width", pa.int32()),
                    pa.field("height", pa.int32()),
                    pa.field("added_at", pa.timestamp("us", tz="UTC")),
                    pa.field("group", pa.string()),
                    pa.field("subject", pa.string()),
                    pa.field("taken_at", pa.timestamp("us", tz="UTC")),
                    pa.field("given_side", pa.string()),
                    pa.field("meta", pa.string()),
                ]
            ),
        )
        self._positions: dict[str, int] = {}
        self._positions_at = 0
        self._known: dict[str, tuple[str, str]] = {}
        self._groups: dict[str, Side] = {}
        self._known_at = 0

    def add(
        self, samples: Iterable[NewSample], now: datetime, *, split: SplitRule
    ) -> tuple[SampleId, ...]:
        """Store what is new and return its ids; what is known already stays as it is.

        Reads `samples` once, in batches of bounded size. The side of a new sample is fixed here
        for good, by `split`.
        """
        added: list[SampleId] = []
        for batch in _batches(samples):
            new = {sample_id(sample.data): sample for sample in batch}
            known = self._sides().keys()
            new = {name: sample for name, sample in new.items() if name not in known}
            if new:
                self._add_bytes(new)
                self._add_facts(new, now, split)
                added += [SampleId(name) for name in new]
        return tuple(added)

    def _add_bytes(self, new: Mapping[SampleId, NewSample]) -> None:
        import pyarrow as pa

        stored = self._stored()
        rows = {name: sample.data for name, sample in new.items() if name not in stored}
        if rows:
            self._bytes.append(
                pa.table(
                    {
                        "id": pa.array(list(rows), pa.string()),
                        "data": pa.array(list(rows.values()), pa.large_binary()),
                    }
                )
            )

    def _add_facts(
        self, new: Mapping[SampleId, NewSample], now: datetime, split: SplitRule
    ) -> None:
        import pyarrow as pa

        values = list(new.values())
        sides = self._decide(new, split)
        self._facts.append(
            pa.table(
                {
                    "id": pa.array(list(new), pa.string()),
                    "side": pa.array(sides, pa.string()),
                    "origin": pa.array([s.origin for s in values], pa.string()),
                    "source": pa.array([s.source for s in values], pa.string()),
                    "name": pa.array([s.name for s in values], pa.string()),
                    "format": pa.array([s.format for s in values], pa.string()),
                    "width": pa.array([s.width for s in values], pa.int32()),
                    "height": pa.array([s.height for s in values], pa.int32()),
                    "added_at": pa.array([now] * len(values), pa.timestamp("us", tz="UTC")),
                    "group": pa.array([s.group for s in values], pa.string()),
                    "subject": pa.array([s.subject for s in values], pa.string()),
                    "taken_at": pa.array(
                        [s.taken_at for s in values], pa.timestamp("us", tz="UTC")
                    ),
                    "given_side": pa.array([s.given_side for s in values], pa.string()),
                    "meta": pa.array([_meta(s.meta) for s in values], pa.string()),
                }
            )
        )

    def _decide(self, new: Mapping[SampleId, NewSample], split: SplitRule) -> list[Side]:
        sides = []
        for name, sample in new.items():
            group = sample.group
            side = split.side(
                name,
                given=sample.given_side,
                group=group,
                group_side=None if group is None else self._groups.get(group),
                taken_at=sample.taken_at,
            )
            if group is not None:
                self._groups.setdefault(group, side)
            sides.append(side)
        return sides

    def read(self, ids: Sequence[SampleId]) -> list[bytes]:
        """The original bytes of samples, in the order asked for; `Refused` for unknown ones."""
        stored = self._stored()
        missing = [name for name in ids if name not in stored]
        if missing:
            raise Refused(f"{len(missing)} samples are not in the store, {missing[0]} among them")
        rows = self._bytes.take([stored[name] for name in ids], ["data"])
        return [bytes(value) for value in rows.column("data").to_pylist()]

    def sides(self) -> Mapping[str, tuple[str, str]]:
        """`(side, origin)` of every sample by its id; the first fact of a sample stands."""
        return self._sides()

    def facts(self) -> "pa.Table":
        """All that is known of all samples, one row each, in the order they came."""
        columns = [
            "id",
            "side",
            "origin",
            "source",
            "name",
            "format",
            "width",
            "height",
            "added_at",
            "group",
            "subject",
            "taken_at",
            "given_side",
            "meta",
        ]
        return self._facts.rows(columns)

    def count(self) -> int:
        """How many samples there are."""
        return len(self._sides())

    def _stored(self) -> dict[str, int]:
        """Row of each sample's bytes; only rows that came since the last call are read."""
        total = self._bytes.count()
        if total > self._positions_at:
            rows = self._bytes.window(["id"], "id IS NOT NULL", self._positions_at, total)
            for offset, name in enumerate(rows.column("id").to_pylist()):
                self._positions.setdefault(name, self._positions_at + offset)
            self._positions_at = total
        return self._positions

    def _sides(self) -> dict[str, tuple[str, str]]:
        total = self._facts.count()
        if total > self._known_at:
            columns = ["id", "side", "origin", "group"]
            rows = self._facts.window(columns, "id IS NOT NULL", self._known_at, total)
            values = (rows.column(name).to_pylist() for name in columns)
            for name, side, origin, group in zip(*values, strict=True):
                self._known.setdefault(name, (side, origin))
                if group is not None:
                    self._groups.setdefault(group, side)
            self._known_at = total
        return self._known


def _meta(meta: Mapping[str, str]) -> str | None:
    return canonical_json(dict(meta)).decode() if meta else None


def _batches(samples: Iterable[NewSample]) -> Iterator[list[NewSample]]:
    batch: list[NewSample] = []
    size = 0
    for sample in samples:
        batch.append(sample)
        size += len(sample.data)
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_ROWS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
