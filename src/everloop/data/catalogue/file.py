"""The catalogue's SQLite file: opened by any number of processes, made anew when damaged."""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from everloop.errors import Unavailable

_SCHEMA = """
CREATE TABLE fragment (
    source TEXT, id INTEGER, file TEXT, deleted INTEGER, PRIMARY KEY (source, id)
) WITHOUT ROWID;
CREATE TABLE followed (source TEXT PRIMARY KEY, version INTEGER) WITHOUT ROWID;
CREATE TABLE sample (
    n INTEGER PRIMARY KEY, key INTEGER NOT NULL, id TEXT NOT NULL,
    fact INTEGER, side TEXT, origin TEXT, team TEXT, subject TEXT
);
CREATE INDEX sample_key ON sample (key);
CREATE INDEX sample_lost ON sample (n) WHERE fact IS NULL AND side IS NOT NULL;
CREATE TABLE stored (n INTEGER PRIMARY KEY, place INTEGER NOT NULL);
CREATE TABLE standing (
    n INTEGER PRIMARY KEY, said BLOB NOT NULL,
    annotation TEXT, label TEXT, who TEXT, kind TEXT, confidence REAL, at INTEGER, answers TEXT
);
CREATE TABLE team (name TEXT PRIMARY KEY, side TEXT) WITHOUT ROWID;
CREATE TABLE tally (name TEXT PRIMARY KEY, samples INTEGER) WITHOUT ROWID;
CREATE TABLE change (seq INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL);
CREATE TABLE taken (rules TEXT PRIMARY KEY, snapshot TEXT, seq INTEGER) WITHOUT ROWID;
"""
_NAME = "catalogue-2.sqlite"
"""With the number of its schema: another one is another file."""
_PATIENCE_S = 120.0
"""Another process may be reading a whole table for the first time."""


class CatalogueFile:
    """Connections to the file, one a thread; all it holds can be read from the tables again."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        self._local = threading.local()

    def __reduce__(self) -> tuple[type["CatalogueFile"], tuple[Path]]:
        return CatalogueFile, (self._path.parent,)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view, however long it is looked at and whoever writes meanwhile."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, one writer at a time; raises `Unavailable` when others do not end."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        if connection.in_transaction:
            yield connection
            return
        try:
            connection.execute(begin)
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
        except sqlite3.OperationalError as error:
            raise Unavailable(f"{self._path} cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            self._throw_away()
            raise Unavailable(
                f"{self._path} was damaged ({error}) and is thrown away; "
                "do it again, and it is made anew"
            ) from error

    def _connection(self) -> sqlite3.Connection:
        # A connection may not be carried over a fork.
        if getattr(self._local, "process", None) != os.getpid():
            self._local.connection = self._open()
            self._local.process = os.getpid()
        connection: sqlite3.Connection = self._local.connection
        return connection

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            # What was forgotten must not live on in the file of an older schema.
            for old in self._path.parent.glob("catalogue-*.sqlite"):
                if old != self._path:
                    _remove(old)
            try:
                return _connected(self._path)
            except sqlite3.OperationalError as error:
                raise Unavailable(f"{self._path} cannot be opened: {error}") from error
            except sqlite3.DatabaseError:
                _remove(self._path)
                return _connected(self._path)

    def _throw_away(self) -> None:
        self._local.process = None
        with self._locked():
            _remove(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    # A lost tail is read from the tables again; only damage must not come of it.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA cache_size = -65536")
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
    return connection


def _remove(path: Path) -> None:
    # Who still has it open goes on in the removed file, which is as good a mirror as any.
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
