"""A source opened by where it is."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from everloop.data.location import Location, Place, located
from everloop.data.sources.bucket import BucketTree
from everloop.data.sources.folder import FolderTree
from everloop.data.sources.tarred import TarTree
from everloop.data.sources.tree import Tree, ending
from everloop.data.sources.zipped import ZipTree

_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_FILES = frozenset((".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet"))


def is_uri(source: str) -> bool:
    """Whether a source is named by a URI rather than by a path."""
    return "://" in source


def open_tree(place: Place) -> Tree:
    """The tree at a local folder or file, a zip or tar archive, or a prefix such as
    `s3://bucket/prefix`.

    Raises `Refused` when there is none, or when an archive may not be unpacked.
    """
    location = located(place)
    folder = location.folder
    if folder is None:
        return _in_bucket(location)
    archive = _archive(folder.name)
    return FolderTree(folder) if archive is None or not folder.is_file() else archive(folder)


def _archive(name: str) -> Callable[[Path], Tree] | None:
    if name.lower().endswith(".zip"):
        return ZipTree
    return TarTree if name.lower().endswith(_TAR) else None


def _in_bucket(location: Location) -> Tree:
    above, _, name = location.uri.rstrip("/").rpartition("/")
    archive = _archive(name)
    if archive is None and ending(name) not in _FILES:
        return BucketTree(location)
    objects = BucketTree(Location(above, location.options), name)
    if archive is None:
        return objects
    with tempfile.TemporaryDirectory(prefix="everloop-archive-") as scratch:
        copy = Path(scratch) / name
        objects.copy_to(name, copy)
        # An open archive outlives its name.
        return archive(copy)
