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


def _numbers(connection: sqlite3.Connection, samples: Sequence[str]) -> dict[str, int]:
    """The number of each sample's row; rows are made for those that have none."""
    numbers = {name: row[0] for name, row in find(connection, "n", samples).items()}
    fresh = [name for name in dict.fromkeys(samples) if name not in numbers]
    (last,) = connection.execute("SELECT coalesce(max(n), 0) FROM sample").fetchone()
    connection.executemany(
        "INSERT INTO sample (n, key, id) VALUES (?, ?, ?)",
        [(last + i, key_of(name), name) for i, name in enumerate(fresh, start=1)],
    )
    numbers.update((name, last + i) for i, name in enumerate(fresh, start=1))
    return numbers


def _see_bytes(connection: sqlite3.Connection, rows: "pa.Table") -> None:
    names, places = rows.column("id").to_pylist(), rows.column("_rowid").to_pylist()
    numbers = _numbers(connection, names)
    # The first bytes stand; others of the same sample are the same.
    connection.executemany(
        "UPDATE sample SET bytes = ? WHERE n = ? AND bytes IS NULL",
        [(place, numbers[name]) for name, place in zip(names, places, strict=True)],
    )


def _see_facts(connection: sqlite3.Connection, rows: "pa.Table") -> None:
    facts = rows.to_pylist()
    numbers = _numbers(connection, [fact["id"] for fact in facts])
    known = find(connection, "fact, side, label", list(numbers))
    first: dict[str, dict[str, Any]] = {}
    for fact in facts:
        first.setdefault(fact["id"], fact)
    for name, fact in first.items():
        place, side, _ = known[name]
        if place is None:
            # A row that only moved keeps its side, whatever order the rows are in now.
            connection.execute(
                "UPDATE sample SET fact = ?, side = coalesce(side, ?), origin = ?, team = ?, "
                "subject = ? WHERE n = ?",
                (fact["_rowid"], fact["side"], fact["origin"], fact["group"], fact["subject"],
                 numbers[name]),
            )  # fmt: skip
        if side is None and fact["group"] is not None:
            connection.execute(
                "INSERT OR IGNORE INTO team VALUES (?, ?)", (fact["group"], fact["side"])
            )
    fresh = [name for name in first if known[name][1] is None]
    came = [name for name in fresh if known[name][2] is not None]
    _count(connection, [(SAMPLES, len(fresh)), *((first[name]["side"], 1) for name in came)])
    _log(connection, [numbers[name] for name in came])


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

    moments = rows.column("at").cast(pa.int64()).to_pylist()
    told = rows.drop_columns(["at"]).to_pylist()
    numbers = _numbers(connection, [row["sample"] for row in told])
    known = find(connection, "side, said, kind, at, annotation", list(numbers))
    said: dict[str, bytes] = {name: row[1] or b"" for name, row in known.items()}
    standing = {
        name: (RANK[row[2]], row[3], row[4]) for name, row in known.items() if row[2] is not None
    }
    label: dict[str, tuple[Any, ...]] = {}
    for row, at in zip(told, moments, strict=True):
        name = row["sample"]
        mark = said_mark(row["id"])
        if is_said(mark, said[name]):
            continue
        said[name] += mark
        weight = (RANK[row["kind"]], at, row["id"])
        if row["kind"] == "model" or weight < standing.get(name, (0, 0, "")):
            continue
        standing[name] = weight
        label[name] = (
            row["id"], row["label"], row["by"], row["kind"], row["confidence"], at, row["origin"],
        )  # fmt: skip
    connection.executemany(
        "UPDATE sample SET said = ? WHERE n = ?",
        [(marks, numbers[name]) for name, marks in said.items() if marks != known[name][1]],
    )
    connection.executemany(
        "UPDATE sample SET annotation = ?, label = ?, who = ?, kind = ?, confidence = ?, at = ?, "
        "answers = ? WHERE n = ?",
        [(*values, numbers[name]) for name, values in label.items()],
    )
    sided = [name for name in label if known[name][0] is not None]
    _count(connection, ((known[name][0], 1) for name in sided if known[name][4] is None))
    _log(connection, [numbers[name] for name in sided])


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
