"""A locked state database: waited for within a bound, and nothing is dropped."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.clock import at

from everloop.errors import Unavailable
from everloop.state import database as module
from everloop.state.audit import Audit
from everloop.state.database import Database


def test_writers_wait_for_each_other_and_all_write(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    first = Database.open(path)
    with ThreadPoolExecutor(4) as threads:
        with first.write():
            waiting = [
                threads.submit(Audit(Database.open(path)).append, f"w{n}", "x", {}, at(n))
                for n in range(4)
            ]
            assert not any(each.done() for each in waiting)
        assert {each.result().number for each in waiting} == {1, 2, 3, 4}
    Audit(first).check()


def test_one_that_stays_locked_is_unavailable_and_then_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.db"
    first = Database.open(path)
    monkeypatch.setattr(module, "_BUSY_SECONDS", 0.1)
    second = Audit(Database.open(path))
    with first.write(), pytest.raises(Unavailable, match="did not answer"):
        second.append("what", "x", {}, at(0))
    assert second.append("what", "x", {}, at(1)).number == 1
