"""Sources in a bucket: read like folders, opened once, refused plainly."""

from pathlib import Path

import pytest
from tests.support import layouts
from tests.support.buckets import ObjectStore
from tests.support.layouts import CELLS, picture, take_in

from everloop.data.blobs import open_blobs
from everloop.data.listing import Listings, list_now
from everloop.data.location import Location
from everloop.data.sources.bucket import BucketTree
from everloop.data.sources.tree import TooLarge
from everloop.data.store import DataStore
from everloop.errors import Refused, Unavailable


def _upload(folder: Path, place: Location) -> None:
    blobs = open_blobs(place)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            blobs.put(str(path.relative_to(folder)), path.read_bytes())


def test_a_prefix_is_read_like_the_folder_it_holds(moto_store: ObjectStore, tmp_path: Path) -> None:
    place = moto_store.bucket()
    layouts.coco(tmp_path / "in")
    _upload(tmp_path / "in", place)
    store = DataStore(tmp_path / "store")
    report = take_in(store, place, CELLS)
    assert (report.format, report.added, report.labelled) == ("coco", 2, 2)
    assert take_in(store, place, CELLS).bytes == 0, "nothing is fetched again"
    first = list_now(place)
    open_blobs(place).put("images/3.png", picture(3))
    assert list_now(place).digest != first.digest
    assert take_in(store, place, CELLS).added == 1


def test_archives_and_tables_of_a_bucket_are_read_too(
    moto_store: ObjectStore, tmp_path: Path
) -> None:
    place = moto_store.bucket()
    layouts.class_folders(tmp_path / "in")
    (tmp_path / "up").mkdir()
    layouts.zipped(tmp_path / "in", tmp_path / "up" / "a.zip")
    layouts.tarred(tmp_path / "in", tmp_path / "up" / "a.tar.gz")
    _upload(tmp_path / "up", place)
    store = DataStore(tmp_path / "store")
    assert take_in(store, place / "a.zip").added == 4
    assert take_in(store, place / "a.tar.gz").known == 4


def test_an_object_is_bounded_and_a_missing_one_refused(moto_store: ObjectStore) -> None:
    place = moto_store.bucket()
    open_blobs(place).put("a/big.png", bytes(2_000))
    tree = BucketTree(place)
    assert [(e.path, e.size) for e in tree.walk()] == [("a/big.png", 2_000)]
    assert [e.path for e in tree.walk()] == ["a/big.png"], "replayed"
    with pytest.raises(TooLarge):
        tree.read("a/big.png", 1_999)
    assert tree.read("a/big.png", 2_000) == bytes(2_000)
    with pytest.raises(Refused, match="not in the source"):
        tree.read("b.png", 10)
    assert tree.has("a/big.png") and not tree.has("b.png") and not tree.has("../b.png")
    tree.close()


def test_a_bucket_is_listed_again_only_when_that_is_cheap(moto_store: ObjectStore) -> None:
    place = moto_store.bucket()
    ticks = iter(range(1_000))
    listings = Listings(lambda: float(next(ticks)))
    first = listings.look(place)
    open_blobs(place).put("1.png", picture(1))
    assert listings.look(place) == first
    assert any(listings.look(place) != first for _ in range(40))


def test_no_other_scheme_is_a_source(tmp_path: Path) -> None:
    for uri in ("http://127.0.0.1/x", "file:///etc", "s4://bucket/x"):
        with pytest.raises(Refused):
            take_in(DataStore(tmp_path / "store"), Location(uri))


def test_a_bucket_that_does_not_answer_is_not_asked_at_every_turn() -> None:
    options = {"endpoint": "http://127.0.0.1:9", "timeout_s": "1", "patience_s": "1",
               "access_key_id": "x", "secret_access_key": "x"}  # fmt: skip
    place = Location("s3://nowhere/x", options)
    now = iter([0.0, 2.0, 3.0, 41.0])
    listings = Listings(lambda: next(now))
    with pytest.raises(Unavailable) as first:
        listings.look(place)
    with pytest.raises(Unavailable) as second:
        listings.look(place)
    assert second.value is first.value, "the same answer, at no price"
