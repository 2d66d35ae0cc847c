"""The state database: opened, brought to the newest schema, read and written in transactions."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError

from everloop.errors import Refused, Unavailable

HEAD = "0015"
"""The newest migration; `tests/state/test_database.py` holds it to the folder of migrations."""
_BUSY_SECONDS = 10.0


class Database:
    """SQLite by default (WAL, every commit on the disk when it returns)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, path: Path) -> "Database":
        """The database in the file `path`, made or migrated if need be.

        Safe when several processes open it at once. Raises `Unavailable` when it stays locked,
        `Refused` when it is damaged.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        # The driver begins no transactions of its own: `_begin` says which kind each one is.
        engine = create_engine(
            f"sqlite:///{path}",
            connect_args={"timeout": _BUSY_SECONDS},
            isolation_level="AUTOCOMMIT",
        )
        event.listen(engine, "connect", _prepare)
        database = cls(engine)
        if database._revision() != HEAD:
            database._migrate()
        return database

    def _revision(self) -> str | None:
        with self.read() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    def _migrate(self) -> None:
        # Loaded only here: the command line opens a migrated database many times a day.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", "everloop.state:migrations")
        # The write lock is taken first, so that of two processes the second finds it done.
        with self.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the database."""
        with self._begin("BEGIN") as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its first moment; whole or not at all."""
        with self._begin("BEGIN IMMEDIATE") as connection:
            yield connection

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database file, as far as readers let it."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _begin(self, how: str) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                _execute_patiently(connection, how)
                try:
                    yield connection
                except BaseException:
                    # An interrupt in the middle of a statement takes the connection with it, and
                    # what was begun on it: it is the interrupt that has to be told.
                    with suppress(SQLAlchemyError):
                        connection.exec_driver_sql("ROLLBACK")
                    raise
                connection.exec_driver_sql("COMMIT")
        except OperationalError as error:
            raise Unavailable(f"the state database did not answer: {error.orig}") from error
        except DatabaseError as error:
            if type(error) is not DatabaseError:
                raise
            # The driver says only of a damaged file that it is a database error and no more.
            raise Refused(
                f"the state database is damaged: {error.orig}; put a copy back"
            ) from error


def _execute_patiently(connection: Connection, how: str) -> None:
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.exec_driver_sql(how)
        except OperationalError:
            # Switching a new file to WAL can answer "locked" without waiting.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _prepare(connection: Any, _record: object) -> None:
    for pragma in (
        f"busy_timeout={int(_BUSY_SECONDS * 1000)}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
