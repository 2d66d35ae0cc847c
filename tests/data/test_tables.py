"""Datasets on every storage: writers at once lose nothing, readers see whole commits."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pyarrow as pa
import pytest

from everloop.data.location import Place
from everloop.data.tables import LanceTable

STORAGES = ("folder", "moto_store", "radosgw")
SCHEMA = pa.schema([pa.field("id", pa.string())])


@pytest.fixture(params=STORAGES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place on each storage."""
    if request.param == "folder":
        return tmp_path / "store"
    store = request.getfixturevalue(request.param)
    found: Place = getattr(store, "store", store).bucket()
    return found


def _rows(*names: str) -> pa.Table:
    return pa.table({"id": pa.array(names, pa.string())})


def _ids(table: LanceTable) -> list[str]:
    found: list[str] = table.rows(["id"]).column("id").to_pylist()
    return found


def test_a_table_is_empty_until_it_is_written(place: Place) -> None:
    table = LanceTable(place / "t.lance", SCHEMA)
    assert (table.dataset(), table.version(), table.count(), _ids(table)) == (None, 0, 0, [])
    table.append(_rows("a", "b"))
    table.append(_rows("c"))
    assert _ids(LanceTable(place / "t.lance", SCHEMA)) == ["a", "b", "c"]
    assert table.window(["id"], "id > 'a'", 1, 1).column("id").to_pylist() == ["c"]
    assert table.take([2, 0], ["id"]).column("id").to_pylist() == ["c", "a"]


def test_writers_that_begin_at_once_where_nothing_was_lose_nothing(place: Place) -> None:
    together = Barrier(4)

    def write(writer: int) -> None:
        table = LanceTable(place / "t.lance", SCHEMA)
        together.wait()
        for step in range(2):
            table.append(_rows(f"{writer}-{step}"))

    _all_at_once(write, 4)
    wanted = sorted(f"{writer}-{step}" for writer in range(4) for step in range(2))
    assert sorted(_ids(LanceTable(place / "t.lance", SCHEMA))) == wanted


def test_a_reader_never_waits_and_never_sees_part_of_a_commit(place: Place) -> None:
    table = LanceTable(place / "t.lance", SCHEMA)
    table.append(_rows(*"abcde"))
    counts: list[int] = []

    def work(part: int) -> None:
        if part == 0:
            for _ in range(4):
                LanceTable(place / "t.lance", SCHEMA).append(_rows(*"abcde"))
        else:
            reader = LanceTable(place / "t.lance", SCHEMA)
            counts.extend(reader.count() for _ in range(20))

    _all_at_once(work, 2)
    assert all(count % 5 == 0 for count in counts)
    assert table.count() == 25


def _all_at_once(work: Callable[[int], None], writers: int) -> None:
    with ThreadPoolExecutor(writers) as threads:
        list(threads.map(work, range(writers)))
