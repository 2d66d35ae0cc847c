"""Files whose bytes were in the store already: one sample, several names."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from everloop.data.location import Place
from everloop.data.tables import LanceTable
from everloop.ids import SampleId

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("sample", "source", "name")


class Twins:
    """Only grows; the same file may be told more than once."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @cached_property
    def _schema(self) -> "pa.Schema":
        import pyarrow as pa

        return pa.schema([pa.field(name, pa.string()) for name in _COLUMNS])

    @cached_property
    def _table(self) -> LanceTable:
        return LanceTable(self._place / "twins.lance", self._schema)

    def append(self, source: str, met: Iterable[tuple[SampleId, str]]) -> None:
        """Remember samples that were met again, and under which name."""
        import pyarrow as pa

        rows = [{"sample": sample, "source": source, "name": name} for sample, name in met]
        if rows:
            self._table.append(pa.Table.from_pylist(rows, self._schema))

    def names(self) -> Mapping[SampleId, frozenset[tuple[str, str]]]:
        """The files `(source, name)` of each sample that was met again, but its first."""
        found: dict[SampleId, set[tuple[str, str]]] = {}
        for row in self._table.rows(list(_COLUMNS)).to_pylist():
            found.setdefault(row["sample"], set()).add((row["source"], row["name"]))
        return {sample: frozenset(files) for sample, files in found.items()}
