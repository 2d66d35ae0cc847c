"""The state database: migrated once by however many processes, whole after any crash."""

import multiprocessing
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import event, inspect, text

from everloop.errors import Refused
from everloop.state.database import HEAD, Database
from everloop.state.tables import metadata


def test_the_newest_revision_is_the_one_the_code_names() -> None:
    config = Config()
    config.set_main_option("script_location", "everloop.state:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_migrations_make_exactly_the_declared_tables(database: Database) -> None:
    with database.read() as connection:
        found = inspect(connection)
        columns = {
            name: {column["name"] for column in found.get_columns(name)}
            for name in found.get_table_names()
            if name != "alembic_version"
        }
    assert columns == {name: set(table.c.keys()) for name, table in metadata.tables.items()}


def _open(path: str) -> str | None:
    return Database.open(Path(path))._revision()


def test_processes_that_open_it_at_once_migrate_it_once(tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "state.db")
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.map(_open, [path] * 8) == [HEAD] * 8


def test_a_transaction_is_whole_or_not_at_all(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as connection:
        connection.execute(text("INSERT INTO leases (name, token) VALUES ('x', 1)"))
        raise RuntimeError
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM leases")).scalar() == 0


def test_an_interrupt_in_the_middle_of_a_statement_is_told_as_that(database: Database) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), database.write() as connection:
        connection.execute(text("CREATE TABLE half (x)"))
        event.listen(connection, "before_cursor_execute", interrupt)
        connection.execute(text("INSERT INTO half VALUES (1)"))
    with database.write() as connection:
        assert not inspect(connection).has_table("half")


def test_killed_inside_a_transaction_nothing_of_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    Database.open(path)
    script = f"""
import os, signal
from pathlib import Path
from sqlalchemy import insert
from everloop.state.database import Database
from everloop.state.tables import leases
with Database.open(Path({str(path)!r})).write() as connection:
    connection.execute(insert(leases).values(name="x", token=1))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    with Database.open(path).read() as connection:
        assert connection.execute(text("SELECT count(*) FROM leases")).scalar() == 0


def test_a_file_that_is_no_database_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(Refused, match=r"state database is damaged.*not a database"):
        Database.open(path)


def test_it_is_kept_in_write_ahead_mode_with_full_sync(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "state.db")
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    with sqlite3.connect(tmp_path / "state.db") as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
