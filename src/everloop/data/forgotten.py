"""Which samples were forgotten: their ids stay, so that they are not taken in again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from everloop.data.location import Place
from everloop.data.marks import Mark, pack, unpack
from everloop.data.tables import LanceTable, text
from everloop.ids import SampleId


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a forgotten sample."""

    sample: SampleId
    request: str
    """Names the request that it was forgotten for."""
    size: int
    """How many bytes it had."""
    marks: tuple[Mark, ...]
    """To look for its bytes by, without knowing them."""


class Forgotten:
    """Written before anything is removed: whoever is killed in between finds here what to do."""

    def __init__(self, place: Place) -> None:
        import pyarrow as pa

        self._table = LanceTable(
            place / "forgotten.lance",
            pa.schema(
                [
                    pa.field("sample", pa.string()),
                    pa.field("request", pa.string()),
                    pa.field("size", pa.int64()),
                    pa.field("marks", pa.binary()),
                    pa.field("at", pa.timestamp("us", tz="UTC")),
                ]
            ),
        )
        self._ids: frozenset[str] = frozenset()
        self._ids_of = 0

    def add(self, tombstones: Sequence[Tombstone], now: datetime) -> None:
        """Write tombstones; those that the request has already are passed over."""
        import pyarrow as pa

        known = {(each.sample, each.request) for each in self.all()}
        new = [each for each in tombstones if (each.sample, each.request) not in known]
        if new:
            self._table.append(
                pa.table(
                    {
                        "sample": pa.array([each.sample for each in new], pa.string()),
                        "request": pa.array([each.request for each in new], pa.string()),
                        "size": pa.array([each.size for each in new], pa.int64()),
                        "marks": pa.array([pack(each.marks) for each in new], pa.binary()),
                        "at": pa.array([now] * len(new), pa.timestamp("us", tz="UTC")),
                    }
                )
            )

    def ids(self) -> frozenset[str]:
        """The ids of all forgotten samples; read again only when some were added."""
        version = self._table.version()
        if version != self._ids_of:
            rows = self._table.rows(["sample"])
            self._ids = frozenset(rows.column("sample").to_pylist())
            self._ids_of = version
        return self._ids

    def all(self, request: str | None = None) -> list[Tombstone]:
        """All tombstones, or those of one request."""
        where = None if request is None else f"request = {text(request)}"
        rows = self._table.rows(["sample", "request", "size", "marks"], where)
        return [
            Tombstone(SampleId(row["sample"]), row["request"], row["size"], unpack(row["marks"]))
            for row in rows.to_pylist()
        ]
