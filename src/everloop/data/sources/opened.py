"""A source opened by where it is."""

from pathlib import Path

from everloop.data.sources.folder import FolderTree
from everloop.data.sources.tarred import TarTree
from everloop.data.sources.tree import Tree
from everloop.data.sources.zipped import ZipTree
from everloop.errors import Refused

_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def is_bucket(location: str) -> bool:
    """Whether a location names a prefix of an object store rather than a local path."""
    return location.startswith("s3://")


def open_tree(location: str) -> Tree:
    """The tree at a local folder or file, a zip or tar archive, or an `s3://bucket/prefix`.

    Raises `Refused` when there is none, or when an archive may not be unpacked.
    """
    if is_bucket(location):
        raise Refused(f"{location}: object stores are not read from yet; copy it to a folder")
    path = Path(location)
    name = path.name.lower()
    if path.is_file() and name.endswith(".zip"):
        return ZipTree(path)
    if path.is_file() and name.endswith(_TAR):
        return TarTree(path)
    return FolderTree(path)
