"""Importing into a real object store: two at once, and a server killed in the middle."""

import multiprocessing
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from tests.support.buckets import through
from tests.support.faulty_proxy import faulty
from tests.support.layouts import picture, put, take_in
from tests.support.radosgw import RadosGateway

from everloop.data import shelf
from everloop.data.location import Location
from everloop.data.store import DataStore
from everloop.errors import Conflict, Unavailable
from everloop_runtime.ids import sample_id

_TRIES = 5


def _pictures(folder: Path, seeds: range) -> Path:
    for seed in seeds:
        put(folder / ("cat" if seed % 2 else "dog") / f"{seed}.png", picture(seed))
    return folder


def _check(place: Location, cache: Path, seeds: range) -> None:
    """Each sample once, whole, and labelled as its source says."""
    store = DataStore(place, cache)
    names = [sample_id(picture(seed)) for seed in seeds]
    assert {name for name, _ in store.samples.all()} == set(names)
    assert store.samples.count() == len(names)
    assert store.samples.read(names) == [picture(seed) for seed in seeds]
    standing = store.annotations.standing(names)
    assert [standing[name].label for name in names] == [("dog", "cat")[seed % 2] for seed in seeds]


def _import(place: Location, cache: Path, folder: Path, start: Barrier) -> None:
    shelf._BATCH_ROWS = 7
    start.wait(60)
    for _ in range(_TRIES):
        try:
            take_in(DataStore(place, cache), folder)
        except (Conflict, Unavailable):
            # One clear answer; asking again is all that it takes.
            continue
        return
    raise SystemExit(1)


def test_two_importers_at_once_lose_and_double_nothing(
    radosgw: RadosGateway, tmp_path: Path
) -> None:
    place = radosgw.store.bucket()
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    folders = [_pictures(tmp_path / "a", range(40)), _pictures(tmp_path / "b", range(20, 60))]
    importers = [
        context.Process(target=_import, args=(place, tmp_path / f"cache-{n}", folder, start))
        for n, folder in enumerate(folders)
    ]
    for each in importers:
        each.start()
    for each in importers:
        each.join(300)
    assert [each.exitcode for each in importers] == [0, 0]
    _check(place, tmp_path / "another", range(60))
    again = [take_in(DataStore(place, tmp_path / "another"), folder) for folder in folders]
    assert [(each.added, each.known, each.labelled) for each in again] == [(0, 40, 0)] * 2


@pytest.mark.parametrize("kill_at", [19])
def test_an_import_into_a_store_that_is_killed_goes_on_when_it_is_back(
    kill_at: int, radosgw: RadosGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "_BATCH_ROWS", 10)
    folder = _pictures(tmp_path / "in", range(40))
    with faulty(radosgw.store.endpoint) as proxy:
        place = through(radosgw.store.bucket(), proxy.endpoint)
        place = replace(place, options={**place.options, "patience_s": "0.5"})
        with radosgw.killed_at_write(proxy, kill_at), pytest.raises(Unavailable):
            take_in(DataStore(place, tmp_path / "cache"), folder)
        rest = take_in(DataStore(place, tmp_path / "cache"), folder)
        assert rest.added + rest.known == 40
        _check(place, tmp_path / "cache", range(40))
        # Nor does another machine, which has none of this one's files, see anything else.
        _check(place, tmp_path / "another", range(40))
        again = take_in(DataStore(place, tmp_path / "another"), folder)
        assert (again.added, again.labelled, again.bytes) == (0, 0, 0)
