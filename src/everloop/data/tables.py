"""Lance datasets opened, appended to and read on any storage, with their errors mapped once."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from typing import TYPE_CHECKING

from everloop.data.blobs import BlobStore, dataset_address, open_blobs
from everloop.data.location import Place, located
from everloop.data.table_errors import explained, is_of_storage, is_race, translated
from everloop.data.table_files import create_empty, is_dataset
from everloop.errors import Conflict

if TYPE_CHECKING:
    import lance
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_ATTEMPTS = 8
_ADDRESS_BITS = 32
"""A row id is its fragment's number and, in this many bits, its place there."""


class LanceTable:
    """One dataset that only grows. Any number of processes may append at once."""

    def __init__(self, place: Place, schema: "pa.Schema") -> None:
        self._place = located(place)
        self._schema = schema
        self._open: lance.LanceDataset | None = None
        self._layout: list[tuple[str, int]] = []
        self._layout_of = 0
        self._moves = 0
        self._numbered: tuple[int, frozenset[int]] | None = None

    @cached_property
    def _address(self) -> tuple[str, dict[str, str] | None]:
        """What Lance calls the place, and how it gets there."""
        uri, options = dataset_address(self._place)
        return uri, dict(options) or None

    @cached_property
    def _files(self) -> BlobStore:
        return open_blobs(self._place)

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""
        return list(self._schema.names)

    def table(self, columns: "Mapping[str, Sequence[object]]") -> "pa.Table":
        """Values by column as a table of this schema."""
        import pyarrow as pa

        return pa.table(
            {field.name: pa.array(columns[field.name], field.type) for field in self._schema}
        )

    def dataset(self) -> "lance.LanceDataset | None":
        """The newest version; None before the first append."""
        import lance

        with self._translated():
            if self._open is None:
                if not self._is_there():
                    return None
                uri, options = self._address
                self._open = lance.dataset(uri, storage_options=options)
            elif self._open.latest_version != self._open.version:
                self._open = self._open.checkout_version(self._open.latest_version)
        return self._open

    def append(self, rows: "pa.Table | pa.RecordBatch") -> None:
        """Add rows in one commit. Raises `Unavailable` when others' commits keep coming first."""
        import lance

        _, options = self._address
        for attempt in range(_ATTEMPTS):
            try:
                dataset = self._made()
                self._open = lance.write_dataset(
                    rows, dataset, schema=self._schema, mode="append", storage_options=options
                )
            except (OSError, ValueError) as error:
                if not is_of_storage(error):
                    raise
                if not is_race(error) or attempt == _ATTEMPTS - 1:
                    raise explained(self._place.name, error) from error
                time.sleep(0.02 * 2**attempt)
            else:
                return

    def _is_there(self) -> bool:
        return is_dataset(self._files)

    def _made(self) -> "lance.LanceDataset":
        """The newest version, made where there was none. One of an older schema gets the columns
        it lacks, empty in the rows it has."""
        dataset = self.dataset()
        while dataset is None:
            with self._translated():
                create_empty(self._files, self._schema)
            dataset = self.dataset()
        lacking = [field for field in self._schema if field.name not in dataset.schema.names]
        if lacking:
            # When two processes do it at once, one of them meets a conflict and looks again.
            dataset.add_columns(lacking)
        return dataset

    def version(self) -> int:
        """Grows with each append; 0 before the first."""
        dataset = self.dataset()
        return 0 if dataset is None else int(dataset.version)

    def moves(self) -> int:
        """Grows when rows that were there went or moved: places kept from before are void then."""
        dataset = self.dataset()
        if dataset is not None and dataset.version != self._layout_of:
            layout = [
                (fragment.metadata.files[0].path, int(fragment.metadata.num_deletions or 0))
                for fragment in dataset.get_fragments()
            ]
            if layout[: len(self._layout)] != self._layout:
                self._moves += 1
            self._layout, self._layout_of = layout, int(dataset.version)
        return self._moves

    def rows(
        self, columns: list[str], where: str | None = None, *, ordered: bool = True
    ) -> "pa.Table":
        """Some columns of the rows that fit an SQL condition, in the order they were appended."""
        dataset = self.dataset()
        if dataset is None:
            return self._empty(columns)
        with self._translated():
            rows = dataset.to_table(
                columns=_present(columns, dataset), filter=where, scan_in_order=ordered
            )
        return self._completed(rows, columns)

    def window(self, columns: list[str], where: str, start: int, most: int) -> "pa.Table":
        """Rows `start` to `start + most` of those that fit, in the order they were appended."""
        dataset = self.dataset()
        if dataset is None:
            return self._empty(columns)
        with self._translated():
            rows = dataset.to_table(
                columns=_present(columns, dataset),
                filter=where,
                offset=start,
                limit=most,
                scan_in_order=True,
            )
        return self._completed(rows, columns)

    def since(self, columns: list[str], start: int, most: int) -> "pa.Table":
        """Rows `start` to `start + most`, without looking at the ones before."""
        dataset = self.dataset()
        if dataset is None:
            return self._empty(columns)
        with self._translated():
            rows = dataset.to_table(
                columns=_present(columns, dataset), offset=start, limit=most, scan_in_order=True
            )
        return self._completed(rows, columns)

    def take(self, positions: list[int], columns: list[str]) -> "pa.Table":
        """Rows by position, in the order asked for."""
        dataset = self.dataset()
        if dataset is None or not positions:
            return self._empty(columns)
        with self._translated():
            rows = dataset.take(positions, columns=_present(columns, dataset))
        return self._completed(rows, columns)

    def scan(
        self, columns: list[str], fragments: "Sequence[lance.LanceFragment]"
    ) -> "Iterator[pa.Table]":
        """Some columns of all rows of these fragments, and their `_rowid`, in order."""
        import pyarrow as pa

        dataset = self.dataset()
        if dataset is None:
            return
        with self._translated():
            scanner = dataset.scanner(
                columns=_present(columns, dataset),
                fragments=list(fragments),
                with_row_id=True,
                scan_in_order=True,
            )
            for batch in scanner.to_batches():
                yield self._completed(pa.Table.from_batches([batch]), [*columns, "_rowid"])

    def take_rows(
        self, row_ids: "Sequence[int] | NDArray[np.int64]", columns: list[str]
    ) -> "pa.Table":
        """Rows by `_rowid`, in the order asked for, fewer where rows are gone.

        Reads the version that is open, as far as it has them: rows never change. Raises `Conflict`
        when the table was rewritten since the ids were read.
        """
        import numpy as np

        rows = np.asarray(row_ids, np.int64)
        if self._open is not None and len(rows):
            # Its files may have been removed meanwhile, and then the newest version knows better.
            with suppress(OSError, ValueError, Conflict):
                return self._rows_of(self._open, rows, columns)
        dataset = self.dataset()
        if dataset is None or not len(rows):
            return self._empty(columns)
        with self._translated():
            return self._rows_of(dataset, rows, columns)

    def _rows_of(
        self, dataset: "lance.LanceDataset", rows: "NDArray[np.int64]", columns: list[str]
    ) -> "pa.Table":
        # Lance panics on an address of a fragment that is not there.
        if not self._fragment_numbers(dataset).issuperset((rows >> _ADDRESS_BITS).tolist()):
            raise Conflict(f"{self._place.name} was rewritten meanwhile; look again")
        found = dataset._take_rows(rows.tolist(), columns=_present(columns, dataset))
        return self._completed(found, columns)

    def _fragment_numbers(self, dataset: "lance.LanceDataset") -> frozenset[int]:
        if self._numbered is None or self._numbered[0] != dataset.version:
            numbers = frozenset(int(f.fragment_id) for f in dataset.get_fragments())
            self._numbered = (int(dataset.version), numbers)
        return self._numbered[1]

    def count(self, where: str | None = None) -> int:
        """How many rows fit."""
        dataset = self.dataset()
        if dataset is None:
            return 0
        with self._translated():
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

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self._place.name)

    def _empty(self, columns: list[str]) -> "pa.Table":
        return self._schema.empty_table().select(columns)


def _present(columns: list[str], dataset: "lance.LanceDataset") -> list[str]:
    names = frozenset(dataset.schema.names)
    return [name for name in columns if name in names]


def text(value: str) -> str:
    """A string as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"
