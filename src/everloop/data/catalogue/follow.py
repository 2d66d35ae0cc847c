"""Following a table: only the fragments that came, shrank or went since last time are read.

A Lance dataset is a list of fragments, each an immutable file and the set of its deleted rows.
An append adds a fragment, a deletion shrinks or removes some, a compaction replaces some. So a
mirror that remembers which fragments it read needs no more than their list to know what is new,
and sees rewritten tables without being told.
"""

import sqlite3
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from everloop.data.catalogue.file import CatalogueFile
from everloop.data.tables import LanceTable

if TYPE_CHECKING:
    import lance
    import pyarrow as pa

_CHUNK_ROWS = 100_000
"""Rows of one transaction, so that its journal stays small."""


@dataclass(frozen=True, slots=True)
class Met:
    """What one transaction came upon, so that it is not looked up again."""

    numbers: dict[str, int] = field(default_factory=dict)
    """Of samples' rows."""
    silent: dict[str, str] = field(default_factory=dict)
    """Sides of samples that came in it and of which nothing is said yet."""


Mirror: TypeAlias = Callable[[sqlite3.Connection, Met, "pa.Table"], None]
"""Takes some rows over, `_rowid` among their columns."""


@dataclass(frozen=True, slots=True)
class Source:
    """One table and what is kept of it."""

    name: str
    table: LanceTable
    columns: tuple[str, ...]
    mirror: Mirror
    lose: Callable[[sqlite3.Connection, int], None]
    """Told of a fragment of which rows went; its number. Those that are left are read again."""
    settle: Callable[[sqlite3.Connection], None]
    """Called once rows that went somewhere else have been found there."""


@dataclass(frozen=True, slots=True)
class _Fragment:
    file: str
    deleted: int
    opened: "lance.LanceFragment"


def catch_up(file: CatalogueFile, sources: Sequence[Source], trusted: Container[str]) -> None:
    """Bring the mirrors of tables to their newest versions, one after the other.

    A trusted table of the version that was followed last is taken for the same; of others the
    fragments are compared: a table that came from a backup may have any version.
    """
    with file.reading() as connection:
        behind: Sequence[Source] = [
            s for s in sources if not _is_current(connection, s, trust=s.name in trusted)
        ]
    while behind:
        with file.writing() as connection:
            behind = _go_on(connection, behind)


def _go_on(connection: sqlite3.Connection, behind: Sequence[Source]) -> Sequence[Source]:
    """One transaction; those that need another one."""
    met = Met()
    room = _CHUNK_ROWS
    for number, source in enumerate(behind):
        rows = _follow(connection, source, met, room)
        if rows is None:
            return behind[number:]
        room -= rows
    return ()


def _is_current(connection: sqlite3.Connection, source: Source, *, trust: bool) -> bool:
    if _followed(connection, source.name) != source.table.version():
        return False
    if trust:
        return True
    present = _present(source.table.dataset())
    told = {number: (fragment.file, fragment.deleted) for number, fragment in present.items()}
    return _seen(connection, source.name) == told


def _follow(connection: sqlite3.Connection, source: Source, met: Met, room: int) -> int | None:
    """The rows that were read to the end of the table; None when there was no room for all."""
    # Looked at only now: another process may have come first, or gone on since.
    dataset = source.table.dataset()
    version = 0 if dataset is None else int(dataset.version)
    seen = _seen(connection, source.name)
    present = _present(dataset)
    _lose(connection, source, seen, present)
    new = [number for number in present if number not in seen]
    chosen, rows = _fitting(new, present, room)
    _read(connection, source, met, {number: present[number] for number in chosen})
    if len(chosen) < len(new):
        return None
    source.settle(connection)
    connection.execute("REPLACE INTO followed VALUES (?, ?)", (source.name, version))
    return rows


def _followed(connection: sqlite3.Connection, name: str) -> int | None:
    row = connection.execute("SELECT version FROM followed WHERE source = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def _seen(connection: sqlite3.Connection, name: str) -> dict[int, tuple[str, int]]:
    rows = connection.execute("SELECT id, file, deleted FROM fragment WHERE source = ?", (name,))
    return {number: (file, deleted) for number, file, deleted in rows}


def _present(dataset: "lance.LanceDataset | None") -> Mapping[int, _Fragment]:
    found = {}
    for fragment in [] if dataset is None else dataset.get_fragments():
        told = fragment.metadata
        # The file's name is unique, so a table restored or made anew is recognised.
        found[int(told.id)] = _Fragment(told.files[0].path, int(told.num_deletions or 0), fragment)
    return found


def _lose(
    connection: sqlite3.Connection,
    source: Source,
    seen: dict[int, tuple[str, int]],
    present: Mapping[int, _Fragment],
) -> None:
    for number, (file, deleted) in list(seen.items()):
        fragment = present.get(number)
        if fragment is not None and (fragment.file, fragment.deleted) == (file, deleted):
            continue
        source.lose(connection, number)
        connection.execute(
            "DELETE FROM fragment WHERE source = ? AND id = ?", (source.name, number)
        )
        del seen[number]


def _fitting(
    new: Sequence[int], present: Mapping[int, _Fragment], room: int
) -> tuple[list[int], int]:
    """The first of the new fragments, until their rows fill the room."""
    chosen, rows = list[int](), 0
    for number in new:
        if rows >= room:
            break
        chosen.append(number)
        rows += present[number].opened.metadata.num_rows
    return chosen, rows


def _read(
    connection: sqlite3.Connection, source: Source, met: Met, new: Mapping[int, _Fragment]
) -> None:
    """Take new fragments over, in the table's order."""
    if not new:
        return
    opened = [fragment.opened for fragment in new.values()]
    for batch in source.table.scan(list(source.columns), opened):
        source.mirror(connection, met, batch)
    connection.executemany(
        "INSERT INTO fragment VALUES (?, ?, ?, ?)",
        [(source.name, n, fragment.file, fragment.deleted) for n, fragment in new.items()],
    )
