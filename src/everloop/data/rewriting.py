"""Rows taken out of a dataset for good: deleted, rewritten away, and gone from its history."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from everloop.data.blobs import Blob, dataset_address, open_blobs
from everloop.data.location import Place, located
from everloop.data.table_files import is_dataset
from everloop.data.tables import text
from everloop.errors import Unavailable

if TYPE_CHECKING:
    import lance
    import pyarrow as pa

_T = TypeVar("_T")
_NAMED_AT_ONCE = 500
_ATTEMPTS = 8
_ALL_ROWS = 2**40
_BYTES_OF_A_FILE = 268_435_456
"""Rewriting one row rewrites its file, so files stay of a size that is soon rewritten."""
_FILES = ("data", "_deletions")


@dataclass(frozen=True, slots=True)
class Tidied:
    """What was freed in one dataset."""

    fragments: int = 0
    """Fewer than before."""
    versions: int = 0
    bytes: int = 0


class Rewriting:
    """One dataset of any schema. Others may append meanwhile: their rows stay."""

    def __init__(self, place: Place) -> None:
        self._place = located(place)
        self._files = open_blobs(place)

    def open(self) -> "lance.LanceDataset | None":
        """Its newest version; None where there is no dataset."""
        import lance

        if not is_dataset(self._files):
            return None
        uri, options = dataset_address(self._place)
        try:
            return lance.dataset(uri, storage_options=dict(options) or None)
        except (OSError, ValueError) as error:
            raise Unavailable(f"{self._place.name} cannot be opened: {error}") from error

    def values(self, column: str, where_column: str, names: Sequence[str]) -> set[str]:
        """The values of `column` in rows whose `where_column` is one of `names`."""
        return {
            value
            for rows in self._matching(column, where_column, names)
            for value in rows.column(column).to_pylist()
            if value is not None
        }

    def shared(
        self, column: str, values: Iterable[str], key: str, names: Sequence[str]
    ) -> set[str]:
        """Those of `values` that `column` also has in rows whose `key` is none of `names`."""
        known, found = frozenset(names), set()
        for part in _parts(sorted(values)):
            for rows in self._matching(column, column, part, also=key):
                pairs = zip(*(rows.column(name).to_pylist() for name in (column, key)), strict=True)
                found |= {value for value, owner in pairs if owner not in known}
        return found

    def count(self, column: str, names: Sequence[str]) -> int:
        """How many rows have one of `names` in `column`."""
        return sum(rows.num_rows for rows in self._matching(column, column, names))

    def _matching(
        self, column: str, where_column: str, names: Sequence[str], also: str | None = None
    ) -> "Iterable[pa.Table]":
        dataset = self.open()
        if dataset is None or where_column not in dataset.schema.names:
            return
        columns = [column] if also in (None, column) else [column, str(also)]
        for part in _parts(names):
            yield dataset.to_table(columns=columns, filter=_one_of(where_column, part))

    def remove(self, column: str, names: Sequence[str]) -> int:
        """Delete rows by what they have in `column`, and return how many that were.

        They stay in the files of older versions until `purge`.
        """
        removed = 0
        for part in _parts(names):
            removed += self._again(partial(self._remove, column, part))
        return removed

    def _remove(self, column: str, names: Sequence[str]) -> int:
        dataset = self.open()
        if dataset is None or column not in dataset.schema.names:
            return 0
        where = _one_of(column, names)
        before = int(dataset.count_rows(filter=where))
        if before:
            dataset.delete(where)
        return before

    def purge(self, *, ordered: bool, merge: bool = False) -> Tidied:
        """Rewrite fragments that have deleted rows, then drop every version but the newest.

        Nobody can open an older version afterwards; who has one open is told to look again.
        `ordered`: rows keep their order among all, at the price of rewriting all of them, which
        happens only where some were deleted. `merge`: small fragments become few large ones too.
        """
        return self._again(lambda: self._purge(ordered=ordered, merge=merge))

    def _purge(self, *, ordered: bool, merge: bool) -> Tidied:
        dataset = self.open()
        if dataset is None:
            return Tidied()
        fragments = dataset.get_fragments()
        before = len(fragments)
        whole = [f.fragment_id for f in fragments if not f.metadata.num_deletions]
        if len(whole) < before or (merge and before > 1):
            dataset.optimize.compact_files(
                materialize_deletions=True,
                materialize_deletions_threshold=0.0,
                max_bytes_per_file=_BYTES_OF_A_FILE,
                target_rows_per_fragment=_ALL_ROWS,
                excluded_fragment_ids=[] if ordered or merge else whole,
                num_threads=1,
            )
        gone = dataset.cleanup_old_versions(
            older_than=timedelta(0), error_if_tagged_old_versions=False
        )
        return Tidied(
            before - len(dataset.get_fragments()), int(gone.old_versions), int(gone.bytes_removed)
        )

    def orphans(self) -> list[Blob]:
        """Files of rows that no version names: left by writers that were cut short, or of one
        that is writing now."""
        listed = [blob for name in _FILES for blob in self._files.list(name)]
        # Opened only now: what was committed since the listing is named there.
        dataset = self.open()
        named: set[str] = set()
        if dataset is not None:
            for version in dataset.versions():
                with _gone_meanwhile():
                    named |= _named(dataset.checkout_version(version["version"]))
        return [blob for blob in listed if blob.key not in named]

    def old_values(self, column: str, before: datetime | None) -> set[str]:
        """What a column has in the files that were written before a moment, or in all."""
        written = {blob.key: blob.modified for blob in self._files.list("data")}
        dataset = self.open()
        fragments = [] if dataset is None else dataset.get_fragments()
        found: set[str] = set()
        for fragment in fragments:
            moments = [written.get(f"data/{file.path}") for file in fragment.metadata.files]
            if before is None or all(m is not None and m < before for m in moments):
                found.update(fragment.to_table(columns=[column]).column(column).to_pylist())
        return found

    def versions(self) -> int:
        """How many versions can be opened."""
        dataset = self.open()
        return 0 if dataset is None else len(dataset.versions())

    def fragments(self) -> int:
        """How many files its rows lie in."""
        dataset = self.open()
        return 0 if dataset is None else len(dataset.get_fragments())

    def delete_files(self, keys: Iterable[str]) -> None:
        """Remove files that `orphans` told of."""
        self._files.delete(keys)

    def _again(self, work: "Callable[[], _T]") -> "_T":
        for attempt in range(_ATTEMPTS):
            try:
                return work()
            except (OSError, ValueError) as error:
                if attempt == _ATTEMPTS - 1 or not _moved(error):
                    raise Unavailable(f"{self._place.name} cannot be rewritten: {error}") from error
                time.sleep(0.02 * 2**attempt)
        raise AssertionError("the last attempt returns or raises")


def _parts(names: Sequence[str]) -> "Iterable[Sequence[str]]":
    for start in range(0, len(names), _NAMED_AT_ONCE):
        yield names[start : start + _NAMED_AT_ONCE]


def _one_of(column: str, names: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(map(text, names))})"


def _named(dataset: "lance.LanceDataset") -> set[str]:
    named = set()
    for fragment in dataset.get_fragments():
        told = fragment.metadata
        named |= {f"data/{file.path}" for file in told.files}
        if told.deletion_file is not None:
            named.add(told.deletion_file.path(told.id))
    return named


def _moved(error: Exception) -> bool:
    """Whether others' commits came in between, so that doing it again may work."""
    told = str(error).lower()
    return any(word in told for word in ("conflict", "already exists", "not found", "retry"))


@contextmanager
def _gone_meanwhile() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        if not _moved(error):
            raise
