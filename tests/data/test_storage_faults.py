"""A store that fails, is slow, goes away or fills up: commits are whole and waiting is bounded."""

import random
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from tests.support.buckets import through
from tests.support.clock import at
from tests.support.faulty_proxy import Fault, FaultyProxy, faulty
from tests.support.pictures import noise
from tests.support.radosgw import RadosGateway

from everloop.adapters.s3_storage import S3Storage
from everloop.data.location import Location
from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.data.tables import LanceTable
from everloop.errors import Unavailable
from everloop_runtime.ids import sample_id

SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("data", pa.large_binary())])
FAULTS: tuple[Fault, ...] = ("503", "reset", "slow", "answer lost", "cut")


@pytest.fixture
def proxy(radosgw: RadosGateway) -> Iterator[FaultyProxy]:
    with faulty(radosgw.store.endpoint) as proxy:
        yield proxy


def _place(radosgw: RadosGateway, proxy: FaultyProxy, patience: str = "20") -> Location:
    place = through(radosgw.store.bucket(), proxy.endpoint)
    return replace(place, options={**place.options, "patience_s": patience, "timeout_s": "2"})


def _rows(*names: str) -> pa.Table:
    return pa.table({"id": list(names), "data": [name.encode() * 2000 for name in names]}, SCHEMA)


def _ids(place: Location) -> list[str]:
    found: list[str] = LanceTable(place / "t.lance", SCHEMA).rows(["id"]).column("id").to_pylist()
    return found


def _patiently(place: Location) -> list[str]:
    while True:
        with suppress(Unavailable):
            return _ids(place)


def test_a_store_that_fails_now_and_then_loses_and_doubles_nothing(
    radosgw: RadosGateway, proxy: FaultyProxy
) -> None:
    place = _place(radosgw, proxy)
    dice = random.Random(5)
    proxy.plan = lambda *_: dice.choice(FAULTS) if dice.random() < 0.12 else None
    table = LanceTable(place / "t.lance", SCHEMA)
    for number in range(6):
        # As every caller does: what is there is not written again.
        while not {f"{number}-a", f"{number}-b"} <= set(_patiently(place)):
            with suppress(Unavailable):
                table.append(_rows(f"{number}-a", f"{number}-b"))
    proxy.plan = lambda *_: None
    assert len(proxy.met) > 3
    assert _ids(place) == [f"{number}-{part}" for number in range(6) for part in "ab"]


def test_a_commit_whose_answer_was_lost_is_there_once(
    radosgw: RadosGateway, proxy: FaultyProxy
) -> None:
    place = _place(radosgw, proxy)
    table = LanceTable(place / "t.lance", SCHEMA)
    table.append(_rows("a"))
    met: list[str] = []

    def lose_first_commit(method: str, path: str, _: int) -> Fault | None:
        if method == "PUT" and path.endswith(".manifest") and not met:
            met.append(path)
            return "answer lost"
        return None

    proxy.plan = lose_first_commit
    table.append(_rows("b"))
    assert met
    assert _ids(place) == ["a", "b"]


def test_a_store_that_does_not_answer_is_given_up_in_bounded_time(
    radosgw: RadosGateway, proxy: FaultyProxy
) -> None:
    place = _place(radosgw, proxy, patience="0.5")
    table = LanceTable(place / "t.lance", SCHEMA)
    table.append(_rows("a"))
    proxy.plan = lambda *_: "503"
    with pytest.raises(Unavailable):
        table.append(_rows("b"))
    proxy.plan = lambda *_: "reset"
    with pytest.raises(Unavailable):
        S3Storage().blobs(place).put("k", b"x")
    # A request is repeated so often at most, whatever the time.
    assert len(proxy.met) < 60
    proxy.plan = lambda *_: None
    assert _ids(place) == ["a"]
    assert S3Storage().blobs(place).get("k") is None
    table.append(_rows("c"))
    assert _ids(place) == ["a", "c"]


def test_half_an_upload_is_not_there(radosgw: RadosGateway, proxy: FaultyProxy) -> None:
    place = _place(radosgw, proxy, patience="1")
    blobs = S3Storage().blobs(place)
    proxy.plan = lambda method, *_: "cut" if method == "PUT" else None
    with pytest.raises(Unavailable):
        blobs.put("k", b"x" * 100_000)
    proxy.plan = lambda *_: None
    assert list(blobs.list()) == []
    assert blobs.put("k", b"y")


def test_a_store_killed_while_it_is_written_to_keeps_whole_commits(radosgw: RadosGateway) -> None:
    place = radosgw.store.bucket()
    done: list[int] = []
    failed: list[int] = []

    def write() -> None:
        for number in range(30):
            try:
                LanceTable(place / "t.lance", SCHEMA).append(_rows(f"{number}-a", f"{number}-b"))
                done.append(number)
            except Unavailable:
                failed.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    while len(done) < 5:
        time.sleep(0.01)
    radosgw.kill()
    radosgw.start()
    writer.join()
    found = _ids(place)
    assert {f"{number}-{part}" for number in done for part in "ab"} <= set(found)
    numbers = [name.partition("-")[0] for name in found[::2]]
    # Whole, and once; one whose answer was lost may be there or not.
    assert found == [f"{number}-{part}" for number in numbers for part in "ab"]
    assert len(set(found)) == len(found)
    assert {int(number) for number in numbers} <= {*done, *failed}


def test_a_full_disk_breaks_nothing_and_room_lets_it_go_on(tmp_path: Path) -> None:
    store = DataStore(tmp_path / "store")
    small = [NewSample(noise(n), "", "s", "s") for n in range(5)]
    store.samples.add(small, at(0), split=SplitRule(0.3))
    large = [NewSample(noise(n, 400), "", "s", "s") for n in range(5)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(Unavailable):
            store.samples.add(large, at(1), split=SplitRule(0.3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    again = DataStore(tmp_path / "store")
    assert again.samples.count() == 5
    assert again.samples.read([sample_id(s.data) for s in small]) == [s.data for s in small]
    assert len(again.samples.add(large, at(2), split=SplitRule(0.3))) == 5
    assert again.samples.read([sample_id(s.data) for s in large]) == [s.data for s in large]
