"""Rows of CSV and Parquet files, one at a time, each with its number."""

import csv
import gzip
import io
import shutil
import tempfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeAlias, cast

from everloop.data.sources.tree import Tree, ending
from everloop.errors import Refused

TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
Row: TypeAlias = "dict[str, Any] | str"
"""Cells by column, or why the row cannot be read."""
_LONGEST_LINE = 4 * 2**20
_BATCH = 1_000
_SEPARATORS = (",", ";", "\t", "|")
_BROKEN = (UnicodeDecodeError, csv.Error, zlib.error, EOFError, gzip.BadGzipFile)


def is_table(path: str) -> bool:
    """Whether a file's name says that it is a table."""
    return ending(path) in TABLES


def columns_of(tree: Tree, path: str) -> Sequence[str]:
    """The names of a table's columns; `Refused` when it is none."""
    with _opened(tree, path) as (columns, _):
        return columns


def rows_of(tree: Tree, path: str) -> Generator[tuple[int, Row]]:
    """`(number, row)`, numbered from 1. Cells of a CSV are text, as they stand there.

    Raises `Refused` when the file is no table, or ends to be one.
    """
    with _opened(tree, path) as (_, rows):
        yield from rows


@contextmanager
def _opened(tree: Tree, path: str) -> Iterator[tuple[Sequence[str], Iterator[tuple[int, Row]]]]:
    with tree.open(path) as file:
        try:
            if ending(path) == ".parquet":
                with _parquet(file) as opened:
                    yield opened
            else:
                plain = gzip.GzipFile(fileobj=file) if path.lower().endswith(".gz") else file
                yield _csv(cast("BinaryIO", plain))
        except _BROKEN as error:
            raise Refused(f"{path} is not a table in UTF-8: {error}") from error
        except Refused as error:
            raise Refused(f"{path}: {error}") from error


def _csv(file: BinaryIO) -> tuple[Sequence[str], Iterator[tuple[int, Row]]]:
    text = io.TextIOWrapper(io.BufferedReader(_Raw(file)), encoding="utf-8-sig", newline="")
    lines = _lines(text)
    first = next(lines, "")
    separator = max(_SEPARATORS, key=first.count)
    table = csv.reader(_chain(first, lines), delimiter=separator)
    columns = [name.strip() for name in next(table, [])]
    return _named(columns), _csv_rows(columns, table)


def _csv_rows(columns: Sequence[str], table: Iterator[list[str]]) -> Iterator[tuple[int, Row]]:
    number = 0
    for cells in table:
        if not cells:
            continue
        number += 1
        if len(cells) == len(columns):
            yield number, dict(zip(columns, cells, strict=True))
        else:
            yield number, f"has {len(cells)} cells; the header names {len(columns)} columns"


def _named(columns: Sequence[str]) -> Sequence[str]:
    if not columns or not all(columns) or len(set(columns)) != len(columns):
        told = ", ".join(columns)[:200] or "nothing"
        raise Refused(f"its columns must be named, each once; its first line names {told}")
    return columns


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE and not line.endswith("\n"):
            raise Refused(f"a line of more than {_LONGEST_LINE} characters")
        yield line


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
        yield from rest


class _Raw(io.RawIOBase):
    """A stream that only knows `read`, as one that buffers and is left open."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _parquet(file: BinaryIO) -> Iterator[tuple[Sequence[str], Iterator[tuple[int, Row]]]]:
    import pyarrow as pa
    from pyarrow import parquet

    with tempfile.TemporaryFile(prefix="everloop-parquet-") as scratch:
        if not file.seekable():
            shutil.copyfileobj(file, scratch)
            scratch.seek(0)
        try:
            opened = parquet.ParquetFile(file if file.seekable() else scratch)
            yield _named(opened.schema_arrow.names), _parquet_rows(opened)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise Refused(f"it is not Parquet that can be read: {str(error)[:200]}") from error


def _parquet_rows(opened: Any) -> Iterator[tuple[int, Row]]:
    number = 0
    for batch in opened.iter_batches(_BATCH):
        for row in batch.to_pylist():
            number += 1
            yield number, row
