"""Collecting garbage: what is needed stays, what is not goes, whenever it is stopped."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.clock import at
from tests.support.pictures import noise

from everloop.data.folder import FolderBlobs
from everloop.data.garbage import collect, find
from everloop.data.rewriting import Rewriting
from everloop.data.samples import NewSample
from everloop.data.schemas import Tables
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.data.usage import holders, sources
from everloop_runtime.ids import sample_id

LATER = datetime.now(UTC) + timedelta(days=1)
"""When everything that a test wrote is old."""


@pytest.fixture
def store(tmp_path: Path) -> DataStore:
    """A store of 24 samples in 12 small files, with garbage of each kind."""
    store = DataStore(tmp_path / "store")
    for n in range(0, 24, 2):
        new = [NewSample(noise(n + i), "", f"s{n % 4}", "s") for i in range(2)]
        store.samples.add(new, at(n), split=SplitRule(0.3))
    lost = Tables.under(store.place).bytes
    lost.append(lost.table({"id": [sample_id(b"lost")], "data": [b"lost"]}))
    data = tmp_path / "store" / "bytes.lance" / "data"
    (data / "0011.lance").write_bytes(b"left by a writer that was cut short")
    (data / ".draft-1").write_bytes(b"half")
    segments = tmp_path / "store" / "snapshots" / "segments"
    segments.mkdir(parents=True)
    (segments / "1.arrow").write_bytes(b"of a snapshot that was never finished")
    return store


def _all_is_there(store: DataStore) -> None:
    again = DataStore(store.place)
    ids = [sample_id(noise(n)) for n in range(24)]
    assert again.samples.read(ids) == [noise(n) for n in range(24)]
    assert store.samples.read(ids) == [noise(n) for n in range(24)]
    assert again.samples.count() == 24


def test_looking_changes_nothing(store: DataStore, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.lance")}
    kinds = {each.kind for each in find(store, LATER).told}
    assert kinds == {"rows", "file", "versions", "fragments"}
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.lance")} == before


def test_what_nothing_reaches_goes_and_all_else_stays(store: DataStore, tmp_path: Path) -> None:
    collect(store, LATER)
    assert find(store, LATER).told == ()
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert not names & {"0011.lance", ".draft-1", "1.arrow"}
    assert Rewriting(store.place / "bytes.lance").old_values("id", None) == {
        sample_id(noise(n)) for n in range(24)
    }
    assert len(list((tmp_path / "store" / "bytes.lance" / "data").iterdir())) == 1
    _all_is_there(store)


def test_what_is_young_is_left_to_whoever_writes_it(store: DataStore, tmp_path: Path) -> None:
    collect(store, datetime.now(UTC))
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert names >= {"0011.lance", ".draft-1", "1.arrow"}
    _all_is_there(store)


@pytest.mark.parametrize("stop_at", [0, 1, 3, 6])
def test_stopped_anywhere_it_goes_on_the_next_time(
    stop_at: int, store: DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = itertools.count()

    def stopping(work: Callable[..., Any]) -> Callable[..., Any]:
        def work_and_stop(*given: Any, **named: Any) -> Any:
            done = work(*given, **named)
            if next(steps) == stop_at:
                raise KeyboardInterrupt
            return done

        return work_and_stop

    with monkeypatch.context() as patched:
        for owner, name in ((Rewriting, "remove"), (Rewriting, "purge"), (FolderBlobs, "delete")):
            patched.setattr(owner, name, stopping(getattr(owner, name)))
        with pytest.raises(KeyboardInterrupt):
            collect(store, LATER)
    _all_is_there(store)
    collect(store, LATER)
    assert find(store, LATER).told == ()
    _all_is_there(store)


def test_usage_says_who_holds_which_bytes(store: DataStore, tmp_path: Path) -> None:
    held = {each.name: each for each in holders(store)}
    files = [p for p in (tmp_path / "store" / "facts.lance").rglob("*") if p.is_file()]
    assert held["facts.lance"].files == len(files)
    assert held["facts.lance"].bytes == sum(path.stat().st_size for path in files)
    assert dict(sources(store)) == {"s0": 12, "s2": 12}
