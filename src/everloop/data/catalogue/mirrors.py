"""What is kept of each table: one row a sample, with its standing label."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from everloop.data.catalogue.follow import Source
from everloop.data.tables import LanceTable

if TYPE_CHECKING:
    import pyarrow as pa

RANK = {"model": 0, "import": 1, "client": 2, "person": 3}
"""Whose word stands before whose."""
SAMPLES = "samples"
"""The tally of all samples; a side's name is that of its labelled ones."""
_ADDRESS_BITS = 32
"""A row id is its fragment's number and, in this many bits, its place there."""
_SAID_BYTES = 16
"""How much of an annotation's id is kept to know it again."""


def bytes_source(table: LanceTable) -> Source:
    """Where each sample's bytes lie."""
    return Source("bytes", table, ("id",), _see_bytes, partial(_lose, "bytes"), _nothing)


def facts_source(table: LanceTable) -> Source:
    """Side, origin, group and subject of each sample; its first fact stands."""
    columns = ("id", "side", "origin", "group", "subject")
    return Source("facts", table, columns, _see_facts, partial(_lose, "fact"), _forget_lost)


def annotations_source(table: LanceTable) -> Source:
    """The standing label of each sample, and which annotations there are.

    Annotations are removed only together with their sample: they go when its fact does.
    """
    columns = ("id", "sample", "label", "by", "kind", "confidence", "at", "origin")
    return Source("annotations", table, columns, _see_annotations, _keep, _nothing)


def key_of(sample: str) -> int:
    """A number to look a sample up by; few samples share one.

    >>> key_of("0" * 63 + "f"), key_of("f" * 64) == 2**60 - 1
    (0, True)
    """
    try:
        return int(sample[:15], 16)
    except ValueError:
        return int.from_bytes(sample[:7].encode("utf-8", "surrogatepass")[:7])


def find(
    connection: sqlite3.Connection, columns: str, samples: Sequence[str]
) -> dict[str, tuple[Any, ...]]:
    """Some columns of samples by their ids; those that are not there are left out."""
    wanted = frozenset(samples)
    found = connection.execute(
        f"SELECT s.id, {columns} FROM json_each(?) AS asked "  # noqa: S608 - columns are ours
        "CROSS JOIN sample AS s ON s.key = asked.value",
        (json.dumps([key_of(sample) for sample in wanted]),),
    )
    return {row[0]: row[1:] for row in found if row[0] in wanted}


def _nothing(connection: sqlite3.Connection) -> None:
    del connection


def _keep(connection: sqlite3.Connection, fragment: int) -> None:
    del connection, fragment


def _lose(column: str, connection: sqlite3.Connection, fragment: int) -> None:
    first = fragment << _ADDRESS_BITS
    connection.execute(
        f"UPDATE sample SET {column} = NULL WHERE {column} >= ? AND {column} < ?",  # noqa: S608
        (first, first + (1 << _ADDRESS_BITS)),
    )


def _met(
    connection: sqlite3.Connection, columns: Sequence[str], samples: Sequence[str]
) -> dict[str, tuple[Any, ...]]:
    """The number of each sample's row and what some columns hold; rows are made where none is."""
    met = find(connection, ", ".join(("n", *columns)), samples)
    fresh = [name for name in dict.fromkeys(samples) if name not in met]
    (last,) = connection.execute("SELECT coalesce(max(n), 0) FROM sample").fetchone()
    connection.executemany(
        "INSERT INTO sample (n, key, id) VALUES (?, ?, ?)",
        [(last + i, key_of(name), name) for i, name in enumerate(fresh, start=1)],
    )
    nothing = (None,) * len(columns)
    met.update((name, (last + i, *nothing)) for i, name in enumerate(fresh, start=1))
    return met


def _see_bytes(connection: sqlite3.Connection, rows: "pa.Table") -> None:
    names, places = rows.column("id").to_pylist(), rows.column("_rowid").to_pylist()
    met = _met(connection, (), names)
    # The first bytes stand; others of the same sample are the same.
    connection.executemany(
        "UPDATE sample SET bytes = ? WHERE n = ? AND bytes IS NULL",
        [(place, met[name][0]) for name, place in zip(names, places, strict=True)],
    )


def _see_facts(connection: sqlite3.Connection, rows: "pa.Table") -> None:
    columns = ("id", "_rowid", "side", "origin", "group", "subject")
    values = zip(*(rows.column(name).to_pylist() for name in columns), strict=True)
    first: dict[str, tuple[Any, ...]] = {}
    for name, *fact in values:
        first.setdefault(name, tuple(fact))
    met = _met(connection, ("fact", "side", "label"), list(first))
    # A row that only moved keeps its side, whatever order the rows are in now.
    connection.executemany(
        "UPDATE sample SET fact = ?, side = coalesce(side, ?), origin = ?, team = ?, subject = ? "
        "WHERE n = ?",
        [(*fact, met[name][0]) for name, fact in first.items() if met[name][1] is None],
    )
    fresh = [name for name in first if met[name][2] is None]
    connection.executemany(
        "INSERT OR IGNORE INTO team VALUES (?, ?)",
        [(first[name][3], first[name][1]) for name in fresh if first[name][3] is not None],
    )
    came = [name for name in fresh if met[name][3] is not None]
    _count(connection, [(SAMPLES, len(fresh)), *((first[name][1], 1) for name in came)])
    _log(connection, [met[name][0] for name in came])


def _forget_lost(connection: sqlite3.Connection) -> None:
    """Samples whose facts were found nowhere again are no samples any more."""
    lost = connection.execute(
        "SELECT n, side, label FROM sample WHERE fact IS NULL AND side IS NOT NULL"
    ).fetchall()
    if not lost:
        return
    sides = [(side, -1) for _, side, label in lost if label is not None]
    _count(connection, [(SAMPLES, -len(lost)), *sides])
    _log(connection, [n for n, _, _ in lost])
    connection.executemany(
        "UPDATE sample SET side = NULL, origin = NULL, team = NULL, subject = NULL, "
        "annotation = NULL, label = NULL, who = NULL, kind = NULL, confidence = NULL, at = NULL, "
        "answers = NULL, said = NULL WHERE n = ?",
        [(n,) for n, _, _ in lost],
    )
    connection.execute(
        "DELETE FROM team WHERE name NOT IN (SELECT team FROM sample WHERE team IS NOT NULL)"
    )


def _see_annotations(connection: sqlite3.Connection, rows: "pa.Table") -> None:
    import pyarrow as pa

    columns = ("sample", "id", "label", "by", "kind", "confidence", "origin")
    told = [rows.column(name).to_pylist() for name in columns]
    moments = rows.column("at").cast(pa.int64()).to_pylist()
    met = _met(connection, ("side", "said", "kind", "at", "annotation"), told[0])
    said: dict[str, bytes] = {}
    standing: dict[str, tuple[int, int, str]] = {}
    label: dict[str, tuple[Any, ...]] = {}
    for at, name, annotation, text, by, kind, confidence, origin in zip(
        moments, *told, strict=True
    ):
        _, _, before, rank, since, stands = met[name]
        marks, mark = said.get(name, before or b""), said_mark(annotation)
        if is_said(mark, marks):
            continue
        said[name] = marks + mark
        least = (RANK[rank], since, stands) if rank is not None else (0, 0, "")
        weight = (RANK[kind], at, annotation)
        if kind == "model" or weight < standing.get(name, least):
            continue
        standing[name] = weight
        label[name] = (annotation, text, by, kind, confidence, at, origin)
    connection.executemany(
        "UPDATE sample SET said = ? WHERE n = ?",
        [(marks, met[name][0]) for name, marks in said.items()],
    )
    connection.executemany(
        "UPDATE sample SET annotation = ?, label = ?, who = ?, kind = ?, confidence = ?, at = ?, "
        "answers = ? WHERE n = ?",
        [(*values, met[name][0]) for name, values in label.items()],
    )
    sided = [name for name in label if met[name][1] is not None]
    _count(connection, ((met[name][1], 1) for name in sided if met[name][5] is None))
    _log(connection, [met[name][0] for name in sided])


def said_mark(annotation: str) -> bytes:
    """What is kept of an annotation's id."""
    try:
        return bytes.fromhex(annotation)[:_SAID_BYTES].ljust(_SAID_BYTES)
    except ValueError:
        return annotation.encode("utf-8", "surrogatepass")[:_SAID_BYTES].ljust(_SAID_BYTES)


def is_said(mark: bytes, said: bytes) -> bool:
    """Whether a mark is one of those in `said`."""
    place = said.find(mark)
    while place % _SAID_BYTES and place >= 0:
        place = said.find(mark, place + 1)
    return place >= 0


def _count(connection: sqlite3.Connection, steps: Iterable[tuple[str, int]]) -> None:
    more: dict[str, int] = {}
    for name, step in steps:
        more[name] = more.get(name, 0) + step
    connection.executemany(
        "INSERT INTO tally VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET samples = samples + excluded.samples",
        list(more.items()),
    )


def _log(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    connection.executemany("INSERT INTO change (n) VALUES (?)", [(n,) for n in numbers])
