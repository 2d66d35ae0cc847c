"""Archives: read like folders, or refused as a whole before anything of them is used."""

import io
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.support import layouts
from tests.support.layouts import picture, put, take_in, told

from everloop.data.sources.archive import ArchiveLimits
from everloop.data.sources.opened import open_tree
from everloop.data.sources.tarred import TarTree
from everloop.data.sources.zipped import ZipTree
from everloop.data.store import DataStore
from everloop.errors import Refused


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"])
def test_an_archive_is_read_like_the_folder_it_holds(name: str, tmp_path: Path) -> None:
    layouts.class_folders(tmp_path / "in")
    path = tmp_path / name
    if name.endswith(".zip"):
        layouts.zipped(tmp_path / "in", path)
    else:
        mode = {"a.tar": "w", "a.tar.bz2": "w:bz2", "a.tar.xz": "w:xz"}.get(name, "w:gz")
        layouts.tarred(tmp_path / "in", path, mode)
    store = DataStore(tmp_path / "store")
    report = take_in(store, path)
    assert (report.added, report.labelled, report.format) == (4, 3, "class-folders")
    again = take_in(store, path)
    assert (again.added, again.known, again.bytes) == (0, 4, 0)
    assert take_in(store, tmp_path / "in").added == 0


def test_tables_and_json_stream_out_of_archives(tmp_path: Path) -> None:
    for name in ("coco", "box_manifest"):
        getattr(layouts, name)(tmp_path / name)
        for path in (
            layouts.zipped(tmp_path / name, tmp_path / f"{name}.zip"),
            layouts.tarred(tmp_path / name, tmp_path / f"{name}.tgz"),
        ):
            report = take_in(DataStore(tmp_path / f"s-{path.name}"), path, layouts.CELLS)
            assert (report.added, report.labelled, report.quarantined) == (2, 2, {})


@pytest.mark.parametrize("name", ["../../x.png", "/etc/x.png", "a/../../x", "C:\\x", "..\\x.png"])
def test_a_member_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("cat/1.png", picture(1))
        archive.writestr(name, b"x")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    for path in ("a.zip", "a.tar"):
        with pytest.raises(Refused, match="leads out of it; nothing is taken"):
            take_in(DataStore(tmp_path / "store"), tmp_path / path)
    assert DataStore(tmp_path / "store").samples.count() == 0


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_of_a_tar_are_refused(kind: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("cat/1.png")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(Refused, match="a link, a device or sparse"):
        take_in(DataStore(tmp_path / "store"), tmp_path / "a.tar")


def test_a_link_of_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("cat/1.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(Refused, match="a link or a device"):
        open_tree(tmp_path / "a.zip")


def test_bombs_are_refused_by_ratio_bytes_and_members(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", bytes(20_000_000))
    with pytest.raises(Refused, match="taken for a bomb"):
        ZipTree(tmp_path / "a.zip")
    put(tmp_path / "big" / "1.png", bytes(20_000_000))
    with pytest.raises(Refused, match="taken for a bomb"):
        TarTree(layouts.tarred(tmp_path / "big", tmp_path / "a.tgz"))
    layouts.class_folders(tmp_path / "in")
    zipped = layouts.zipped(tmp_path / "in", tmp_path / "b.zip")
    tarred = layouts.tarred(tmp_path / "in", tmp_path / "b.tar", "w")
    for limits in (ArchiveLimits(max_bytes=500), ArchiveLimits(max_members=2)):
        with pytest.raises(Refused, match="more than"):
            ZipTree(zipped, limits)
        with pytest.raises(Refused, match="more than"):
            TarTree(tarred, limits)


def test_members_that_lie_about_their_size_give_no_more(tmp_path: Path) -> None:
    """The size in the header is what the limits were held against."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", bytes(50_000))
    data = path.read_bytes().replace(struct.pack("<L", 50_000), struct.pack("<L", 10))
    path.write_bytes(data)
    tree = ZipTree(path)
    with pytest.raises(Refused):
        assert len(tree.read("1.png", 100)) <= 10
        raise Refused("it gave what it said")


def test_members_that_share_bytes_are_taken_for_a_bomb(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.png", bytes(1000))
        for number in range(2, 9):
            copy = zipfile.ZipInfo(f"{number}.png")
            first = archive.infolist()[0]
            for name in ("header_offset", "compress_size", "file_size", "CRC", "create_system"):
                setattr(copy, name, getattr(first, name))
            archive.filelist.append(copy)
            archive.NameToInfo[copy.filename] = copy
    with pytest.raises(Refused, match="share bytes"):
        ZipTree(path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    for name in ("a.zip", "a.tar", "a.tar.gz"):
        put(tmp_path / name, b"\x1f\x8bnothing of that kind" * 40)
        with pytest.raises(Refused, match=name):
            open_tree(tmp_path / name)
    layouts.class_folders(tmp_path / "in")
    whole = layouts.tarred(tmp_path / "in", tmp_path / "b.tgz").read_bytes()
    put(tmp_path / "b.tgz", whole[:-40])
    with pytest.raises(Refused, match="cannot be unpacked"):
        open_tree(tmp_path / "b.tgz")
    with pytest.raises(Refused, match="is not a folder"):
        open_tree(tmp_path / "nowhere")


def test_whatever_a_file_is_called_it_is_stored_under_its_hash(tmp_path: Path) -> None:
    names = ["CON", "a\nb.png", "\u202egnp.exe", "x" * 4096 + ".png", "b\udcff.png", "nul.png"]
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for seed, name in enumerate(names):
            info = tarfile.TarInfo(f"cat/{name}")
            info.size = len(picture(seed))
            archive.addfile(info, io.BytesIO(picture(seed)))
    store = DataStore(tmp_path / "store")
    assert take_in(store, tmp_path / "a.tar").added == len(names)
    stored = store.samples.facts().column("name").to_pylist()
    assert all(name.isascii() and name.isprintable() for name in stored)
    assert any("\\u202e" in name for name in stored)
    folder = tmp_path / "in" / "cat"
    for seed, name in enumerate(("a\nb.png", "\u202egnp.png", "CON", "y" * 250)):
        put(folder / name, picture(100 + seed))
    assert take_in(store, tmp_path / "in").added == 4


def test_a_name_with_nul_in_a_table_or_an_archive_is_a_row_like_any_other_bad_one(
    tmp_path: Path,
) -> None:
    put(tmp_path / "in" / "1.png", picture(1))
    put(tmp_path / "in" / "labels.csv", "path,label\n1.png,cat\na\0b.png,dog\n\0,dog\n")
    store = DataStore(tmp_path / "store")
    report = take_in(store, tmp_path / "in")
    assert (report.added, report.quarantined) == (1, {"unreadable": 2})
    assert all(name.isascii() and name.isprintable() for name in told(store))
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("cat/2.png")
        info.size, info.pax_headers = len(picture(2)), {"path": "cat/c\0d.png"}
        archive.addfile(info, io.BytesIO(picture(2)))
    assert take_in(DataStore(tmp_path / "other"), tmp_path / "a.tar").added == 1
