"""A source's files by path and by name, on disk: what annotation files name is looked up here."""

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from everloop.data.sources.tree import Entry, Tree

_BATCH = 10_000


class Index:
    """Built by one walk; it never reaches outside the source, whatever path it is asked for."""

    def __init__(self, tree: Tree) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="everloop-index-")
        self.database = sqlite3.connect(
            # A decoders' thread reads the source, the importing one ends it.
            Path(self._folder.name) / "index.db",
            check_same_thread=False,
        )
        """Scratch: a reader may keep tables of its own beside `files`."""
        self.database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE files (path BLOB PRIMARY KEY, name BLOB, size INTEGER, stamp TEXT,"
            " used INTEGER DEFAULT 0) WITHOUT ROWID;"
        )
        self.database.executemany(
            "INSERT INTO files (path, name, size, stamp) VALUES (?, ?, ?, ?)",
            ((_raw(e.path), _raw(e.name), e.size, e.stamp) for e in tree.walk()),
        )
        self.database.execute("CREATE INDEX by_name ON files (name)")

    def get(self, path: str) -> Entry | None:
        """The file at a path."""
        row = self.database.execute(
            "SELECT path, size, stamp FROM files WHERE path = ?", (_raw(path),)
        ).fetchone()
        return None if row is None else _entry(row)

    def find(self, named: str, beside: str = "") -> tuple[Entry, ...]:
        """The files that an annotation may mean: seen from `beside`, from the root, or by ending.

        One is an answer; several are a doubt. A file elsewhere counts where no folder that it
        names is there: tools often write the folders of the machine they ran on.
        """
        wanted = _normal(named)
        for path in (f"{beside}/{wanted}" if beside else wanted, wanted):
            if (entry := self.get(path)) is not None:
                return (entry,)
        name = wanted.rpartition("/")[2]
        rows = self.database.execute(
            "SELECT path, size, stamp FROM files WHERE name = ? LIMIT 1000", (_raw(name),)
        )
        found = [_entry(row) for row in rows]
        fitting = [e for e in found if f"/{e.path}".endswith(f"/{wanted}")]
        return tuple(fitting or found)

    def use(self, path: str) -> bool:
        """Mark a file as one that an annotation spoke of; False when one did before."""
        marked = self.database.execute(
            "UPDATE files SET used = 1 WHERE path = ? AND used = 0", (_raw(path),)
        )
        return marked.rowcount == 1

    def unused(self) -> Iterator[Entry]:
        """The files that were not marked, by path."""
        rows = self.database.execute(
            "SELECT path, size, stamp FROM files WHERE used = 0 ORDER BY path"
        )
        return map(_entry, rows)

    def all(self) -> Iterator[Entry]:
        """Every file, by path."""
        return map(
            _entry, self.database.execute("SELECT path, size, stamp FROM files ORDER BY path")
        )

    def close(self) -> None:
        """Remove it from the disk."""
        self.database.close()
        self._folder.cleanup()


def _raw(path: str) -> bytes:
    # File names are bytes: what is not UTF-8 comes as surrogates.
    return (
        path.encode("utf-8", "surrogateescape")
        if _encodable(path)
        else path.encode("utf-8", "surrogatepass")
    )


def _encodable(path: str) -> bool:
    try:
        path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _entry(row: tuple[bytes, int, str]) -> Entry:
    return Entry(row[0].decode("utf-8", "surrogateescape"), row[1], row[2])


def _normal(path: str) -> str:
    parts = path.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in {"", ".", ".."})
