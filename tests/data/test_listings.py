"""What lies in a source, told at the price of what changed."""

import os
from pathlib import Path

from tests.support import layouts
from tests.support.layouts import picture, put

from everloop.data.listing import Listing, Listings, list_now

_LONG_AGO = 1_600_000_000


class Clock:
    """A clock on which every full look takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def _settle(folder: Path) -> None:
    """As if nothing had changed for years."""
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (_LONG_AGO, _LONG_AGO))


def _look(listings: Listings, folder: Path) -> Listing:
    found = listings.look(folder)
    assert found is not None
    return found


def test_a_look_back_sees_files_that_came_went_and_moved(tmp_path: Path) -> None:
    layouts.class_folders(tmp_path)
    _settle(tmp_path)
    listings = Listings(Clock())
    first = _look(listings, tmp_path)
    assert first == list_now(tmp_path) and first.files == 4
    assert _look(listings, tmp_path) == first
    put(tmp_path / "cat" / "2020" / "9.png", picture(9))
    second = _look(listings, tmp_path)
    assert (second == list_now(tmp_path)) and second.files == 5 and second.digest != first.digest
    (tmp_path / "cat" / "2020" / "9.png").rename(tmp_path / "dog" / "9.png")
    third = _look(listings, tmp_path)
    assert third == list_now(tmp_path) and third.digest != second.digest
    (tmp_path / "dog" / "9.png").unlink()
    (tmp_path / "cat" / "2020").rmdir()
    _settle(tmp_path)
    assert list_now(tmp_path).digest == first.digest
    put(tmp_path / "README.md", "a note")
    put(tmp_path / ".hidden" / "1.png", picture(1))
    assert list_now(tmp_path).digest == first.digest


def test_only_folders_that_changed_are_listed_again(tmp_path: Path) -> None:
    layouts.class_folders(tmp_path)
    _settle(tmp_path)
    listings = Listings(Clock())
    first = _look(listings, tmp_path)
    overwritten = tmp_path / "cat" / "1.png"
    overwritten.write_bytes(picture(77))
    assert _look(listings, tmp_path) == first, "its folder did not change: not looked into yet"
    for _ in range(40):
        last = _look(listings, tmp_path)
    assert last.digest != first.digest, "everything is looked at once that costs little"
    assert last == list_now(tmp_path)


def test_a_folder_that_changed_just_now_is_not_trusted(tmp_path: Path) -> None:
    put(tmp_path / "1.png", picture(1))
    listings = Listings(Clock())
    first = _look(listings, tmp_path)
    stamp = tmp_path.stat().st_mtime_ns
    put(tmp_path / "2.png", picture(2))
    os.utime(tmp_path, ns=(stamp, stamp))
    assert _look(listings, tmp_path).digest != first.digest, "both changes in one tick"


def test_a_file_is_looked_at_by_its_stamp_and_what_is_not_there_is_not(tmp_path: Path) -> None:
    layouts.class_folders(tmp_path / "in")
    archive = layouts.zipped(tmp_path / "in", tmp_path / "a.zip")
    first = list_now(archive)
    put(tmp_path / "in" / "cat" / "9.png", picture(9))
    layouts.zipped(tmp_path / "in", archive)
    assert list_now(archive).digest != first.digest
    assert Listings().look(tmp_path / "nowhere") is None
