"""What is kept of each table: one row a sample, with its standing label."""

import itertools
import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from everloop.data.catalogue.follow import Met, Source
from everloop.data.tables import LanceTable

if TYPE_CHECKING:
    import pyarrow as pa

RANK = {"model": 0, "accepted": 1, "import": 2, "client": 3, "person": 4}
"""Whose word stands before whose."""
SAMPLES = "samples"
"""The tally of all samples; a side's name is that of its labelled ones."""
_ADDRESS_BITS = 32
"""A row id is its fragment's number and, in this many bits, its place there."""
_SAID_BYTES = 16
"""How much of an annotation's id is kept to know it again."""


def bytes_source(table: LanceTable) -> Source:
    """Where each sample's bytes lie."""
    return Source("bytes", table, ("id",), _see_bytes, _lose_bytes, _nothing)


def facts_source(table: LanceTable) -> Source:
    """Side, origin, group and subject of each sample; its first fact stands."""
    columns = ("id", "side", "origin", "group", "subject")
    return Source("facts", table, columns, _see_facts, _lose_facts, _forget_lost)


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
    connection: sqlite3.Connection, columns: str, samples: Collection[str], beside: str = ""
) -> dict[str, tuple[Any, ...]]:
    """Some columns of samples by their ids; those that are not there are left out.

    `beside`: a join with what else is known by their numbers.
    """
    wanted = frozenset(samples)
    if not wanted:
        return {}
    found = connection.execute(
        f"SELECT s.id, {columns} FROM json_each(?) AS asked "  # noqa: S608 - columns are ours
        f"CROSS JOIN sample AS s ON s.key = asked.value {beside}",
        (json.dumps([key_of(sample) for sample in wanted]),),
    )
    return {row[0]: row[1:] for row in found if row[0] in wanted}


def _nothing(connection: sqlite3.Connection) -> None:
    del connection


def _keep(connection: sqlite3.Connection, fragment: int) -> None:
    del connection, fragment


def _lose_bytes(connection: sqlite3.Connection, fragment: int) -> None:
    connection.execute("DELETE FROM stored WHERE place >= ? AND place < ?", _places(fragment))


def _lose_facts(connection: sqlite3.Connection, fragment: int) -> None:
    connection.execute(
        "UPDATE sample SET fact = NULL WHERE fact >= ? AND fact < ?", _places(fragment)
    )


def _places(fragment: int) -> tuple[int, int]:
    return fragment << _ADDRESS_BITS, (fragment + 1) << _ADDRESS_BITS


def _meet(connection: sqlite3.Connection, met: Met, samples: Iterable[str]) -> list[str]:
    """Give each sample a number in `met`; those are returned that have no row of it yet."""
    numbers = met.numbers
    unmet = [name for name in samples if name not in numbers]
    numbers.update((name, n) for name, (n,) in find(connection, "n", unmet).items())
    fresh = [name for name in unmet if name not in numbers]
    (last,) = connection.execute("SELECT coalesce(max(n), 0) FROM sample").fetchone()
    numbers.update(zip(fresh, itertools.count(last + 1)))
    return fresh


def _meet_all(connection: sqlite3.Connection, met: Met, samples: Iterable[str]) -> None:
    """The same, and each sample has a row then."""
    connection.executemany(
        "INSERT INTO sample (n, key, id) VALUES (?, ?, ?)",
        [(met.numbers[name], key_of(name), name) for name in _meet(connection, met, samples)],
    )


def _see_bytes(connection: sqlite3.Connection, met: Met, rows: "pa.Table") -> None:
    # The first bytes stand; others of the same sample are the same.
    first = _firsts(rows, "id", "_rowid")
    _meet_all(connection, met, first)
    connection.executemany(
        "INSERT OR IGNORE INTO stored VALUES (?, ?)",
        [(met.numbers[name], place) for name, (place,) in first.items()],
    )


def _see_facts(connection: sqlite3.Connection, met: Met, rows: "pa.Table") -> None:
    first = _firsts(rows, "id", "_rowid", "side", "origin", "group", "subject")
    fresh = frozenset(_meet(connection, met, first))
    numbers = met.numbers
    before = _before(connection, [numbers[name] for name in first if name not in fresh])
    # A row that only moved keeps its side, whatever order the rows are in now.
    connection.executemany(
        "INSERT INTO sample (n, key, id, fact, side, origin, team, subject) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (n) DO UPDATE SET fact = excluded.fact, "
        "side = coalesce(side, excluded.side), origin = excluded.origin, team = excluded.team, "
        "subject = excluded.subject WHERE fact IS NULL",
        [(numbers[name], key_of(name), name, *fact) for name, fact in first.items()],
    )
    met.silent.update((name, first[name][1]) for name in fresh)
    came = {n: fact for n, fact in first.items() if before.get(numbers[n], _NEW)[0] is None}
    connection.executemany(
        "INSERT OR IGNORE INTO team VALUES (?, ?)",
        [(team, side) for _, side, _, team, _ in came.values() if team is not None],
    )
    labelled = [name for name in came if before.get(numbers[name], _NEW)[1]]
    _count(connection, [(SAMPLES, len(came)), *((came[name][1], 1) for name in labelled)])
    _log(connection, [numbers[name] for name in labelled])


def _firsts(rows: "pa.Table", key: str, *others: str) -> dict[str, tuple[Any, ...]]:
    """The first row of each sample."""
    found: dict[str, tuple[Any, ...]] = {}
    values = zip(*(rows.column(name).to_pylist() for name in others), strict=True)
    for name, value in zip(rows.column(key).to_pylist(), values, strict=True):
        found.setdefault(name, value)
    return found


_NEW = (None, 0)


def _before(
    connection: sqlite3.Connection, numbers: Sequence[int]
) -> dict[int, tuple[str | None, int]]:
    """Side and whether there is a label, of samples that have a row."""
    found = connection.execute(
        "SELECT n, side, label IS NOT NULL FROM json_each(?) AS asked "
        "CROSS JOIN sample ON n = asked.value LEFT JOIN standing USING (n)",
        (json.dumps(numbers),),
    )
    return {n: (side, labelled) for n, side, labelled in found}


def _forget_lost(connection: sqlite3.Connection) -> None:
    """Samples whose facts were found nowhere again are no samples any more."""
    lost = connection.execute(
        "SELECT n, side, label FROM sample LEFT JOIN standing USING (n) "
        "WHERE fact IS NULL AND side IS NOT NULL"
    ).fetchall()
    if not lost:
        return
    sides = [(side, -1) for _, side, label in lost if label is not None]
    _count(connection, [(SAMPLES, -len(lost)), *sides])
    numbers = [n for n, _, _ in lost]
    _log(connection, numbers)
    only = [(n,) for n in numbers]
    connection.executemany("DELETE FROM standing WHERE n = ?", only)
    connection.executemany(
        "UPDATE sample SET side = NULL, origin = NULL, team = NULL, subject = NULL WHERE n = ?",
        only,
    )
    connection.execute(
        "DELETE FROM team WHERE name NOT IN (SELECT team FROM sample WHERE team IS NOT NULL)"
    )


def _see_annotations(connection: sqlite3.Connection, met: Met, rows: "pa.Table") -> None:
    import pyarrow as pa

    names, annotations, kinds = (rows.column(name).to_pylist() for name in ("sample", "id", "kind"))
    moments = rows.column("at").cast(pa.int64()).to_pylist()
    plain = (rows.column(name).to_pylist() for name in ("label", "by", "confidence", "origin"))
    before = _said_before(connection, met, dict.fromkeys(names))
    said: dict[str, bytes] = {}
    weights: dict[str, tuple[int, int, str]] = {}
    label: dict[str, tuple[Any, ...]] = {}
    for name, annotation, kind, at, text, by, confidence, origin in zip(
        names, annotations, kinds, moments, *plain, strict=True
    ):
        _, _, known, rank, since, stands = before[name]
        marks, mark = said.get(name, known), said_mark(annotation)
        if marks is not None and is_said(mark, marks):
            continue
        said[name] = mark if marks is None else marks + mark
        if kind == "model":
            continue
        weight = (RANK[kind], at, annotation)
        least = weights.get(name) or (rank and (RANK[rank], since, stands))
        if least and weight < least:
            continue
        weights[name] = weight
        label[name] = (annotation, text, by, kind, confidence, at, origin)
    connection.executemany(
        "INSERT INTO standing (n, said) VALUES (?, ?) "
        "ON CONFLICT (n) DO UPDATE SET said = excluded.said",
        [(before[name][0], marks) for name, marks in said.items() if name not in label],
    )
    connection.executemany(
        "REPLACE INTO standing VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(before[name][0], said[name], *values) for name, values in label.items()],
    )
    sided = [before[name] for name in label if before[name][1] is not None]
    _count(connection, ((side, 1) for _, side, _, kind, *_ in sided if kind is None))
    _log(connection, [n for n, *_ in sided])


def _said_before(
    connection: sqlite3.Connection, met: Met, samples: Collection[str]
) -> dict[str, tuple[Any, ...]]:
    """Number, side, what was said, and kind, moment and id of the standing annotation."""
    nothing = (None,) * 4
    before: dict[str, tuple[Any, ...]] = {
        name: (met.numbers[name], met.silent.pop(name), *nothing)
        for name in samples
        if name in met.silent
    }
    others = [name for name in samples if name not in before]
    columns = "n, side, said, kind, at, annotation"
    before |= find(connection, columns, others, "LEFT JOIN standing USING (n)")
    unmet = [name for name in others if name not in before]
    _meet_all(connection, met, unmet)
    before.update((name, (met.numbers[name], None, *nothing)) for name in unmet)
    return before


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
    """Samples that changed; those with numbers in a row are one line."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    connection.executemany("INSERT INTO change (first, last) VALUES (?, ?)", ranges)
