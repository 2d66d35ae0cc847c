"""Lance datasets opened, appended to and read, with their errors mapped once."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.errors import Unavailable

if TYPE_CHECKING:
    import lance
    import pyarrow as pa

_ATTEMPTS = 8


class LanceTable:
    """One dataset that only grows. Any number of processes may append at once."""

    def __init__(self, path: Path, schema: "pa.Schema") -> None:
        self._path = path
        self._schema = schema
        self._open: lance.LanceDataset | None = None

    def dataset(self) -> "lance.LanceDataset | None":
        """The newest version; None before the first append."""
        import lance

        with _translated(self._path):
            if self._open is None:
                if not (self._path / "_versions").is_dir():
                    return None
                self._open = lance.dataset(str(self._path))
            elif self._open.latest_version != self._open.version:
                self._open = self._open.checkout_version(self._open.latest_version)
        return self._open

    def append(self, rows: "pa.Table | pa.RecordBatch | pa.RecordBatchReader") -> None:
        """Add rows in one commit. Raises `Unavailable` when others' commits keep coming first."""
        import lance

        if self.dataset() is None:
            self._create()
        for attempt in range(_ATTEMPTS):
            try:
                self._widen()
                lance.write_dataset(rows, str(self._path), schema=self._schema, mode="append")
            except OSError as error:
                if not _is_race(error) or attempt == _ATTEMPTS - 1:
                    raise _explained(self._path, error) from error
                time.sleep(0.02 * 2**attempt)
            else:
                return

    def _create(self) -> None:
        """Make the dataset, empty, beside its place and move it there: the first mover wins.

        Two processes that both create in place would each commit a first version, and the later
        one would drop the rows of the earlier.
        """
        import lance

        with _translated(self._path), _scratch_beside(self._path) as scratch:
            made = scratch / self._path.name
            lance.write_dataset(self._schema.empty_table(), str(made), mode="create")
            try:
                made.rename(self._path)
            except OSError:
                if not (self._path / "_versions").is_dir():
                    raise

    def _widen(self) -> None:
        """Give a dataset of an older schema the columns it lacks, empty in the rows it has."""
        dataset = self.dataset()
        if dataset is None:
            return
        lacking = [field for field in self._schema if field.name not in dataset.schema.names]
        if lacking:
            # When two processes do it at once, one of them meets a conflict and looks again.
            dataset.add_columns(lacking)

    def version(self) -> int:
        """Grows with each append; 0 before the first."""
        dataset = self.dataset()
        return 0 if dataset is None else int(dataset.version)

    def rows(
        self, columns: list[str], where: str | None = None, *, ordered: bool = True
    ) -> "pa.Table":
        """Some columns of the rows that fit an SQL condition, in the order they were appended."""
        dataset = self.dataset()
        if dataset is None:
            return self._empty(columns)
        with _translated(self._path):
            rows = dataset.to_table(
                columns=_present(columns, dataset), filter=where, scan_in_order=ordered
            )
        return self._completed(rows, columns)

    def window(self, columns: list[str], where: str, start: int, most: int) -> "pa.Table":
        """Rows `start` to `start + most` of those that fit, in the order they were appended."""
        dataset = self.dataset()
        if dataset is None:
            return self._empty(columns)
        with _translated(self._path):
            rows = dataset.to_table(
                columns=_present(columns, dataset),
                filter=where,
                offset=start,
                limit=most,
                scan_in_order=True,
            )
        return self._completed(rows, columns)

    def take(self, positions: list[int], columns: list[str]) -> "pa.Table":
        """Rows by position, in the order asked for."""
        dataset = self.dataset()
        if dataset is None or not positions:
            return self._empty(columns)
        with _translated(self._path):
            rows = dataset.take(positions, columns=_present(columns, dataset))
        return self._completed(rows, columns)

    def count(self, where: str | None = None) -> int:
        """How many rows fit."""
        dataset = self.dataset()
        if dataset is None:
            return 0
        with _translated(self._path):
            return int(dataset.count_rows(filter=where))

    def _completed(self, rows: "pa.Table", columns: list[str]) -> "pa.Table":
        """The columns asked for, those that an older dataset lacks being null."""
        import pyarrow as pa

        if rows.num_columns == len(columns):
            return rows
        arrays = {
            name: rows.column(name)
            if name in rows.column_names
            else pa.nulls(rows.num_rows, self._schema.field(name).type)
            for name in columns
        }
        return pa.table(arrays)

    def _empty(self, columns: list[str]) -> "pa.Table":
        return self._schema.empty_table().select(columns)


def _present(columns: list[str], dataset: "lance.LanceDataset") -> list[str]:
    names = frozenset(dataset.schema.names)
    return [name for name in columns if name in names]


@contextmanager
def _scratch_beside(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=path.parent) as folder:
        yield Path(folder)


def text(value: str) -> str:
    """A string as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _explained(path, error) from error


def _is_race(error: OSError) -> bool:
    told = str(error).lower()
    return "conflict" in told or "already exists" in told


def _explained(path: Path, error: OSError) -> Unavailable:
    if _is_race(error):
        return Unavailable(f"{path.name}: others' writes kept coming first: {error}")
    return Unavailable(f"{path.name} cannot be used: {error}")
