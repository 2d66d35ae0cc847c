"""A first look at a source: enough to tell its format, however large it is."""

from collections.abc import Sequence

from everloop.data.formats.tables import columns_of
from everloop.data.sources.tree import Tree, ending, is_text
from everloop.errors import Refused

_KEPT = 64
"""Paths that are remembered of each ending."""
_FOLDERS = 5_000
_HEAD = 64 * 1024


class Sketch:
    """Made by one walk over the names; only a few of them are kept."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._paths: dict[str, list[str]] = {}
        self._heads: dict[str, bytes] = {}
        self._columns: dict[str, Sequence[str]] = {}
        folders: dict[tuple[str, ...], None] = {}
        self.files = 0
        """How many there are, notes included."""
        self.data = 0
        """How many are not notes such as a README."""
        for entry in tree.walk():
            self.files += 1
            is_data = not is_text(entry.path)
            self.data += is_data
            kept = self._paths.setdefault(ending(entry.path), [])
            if len(kept) < _KEPT:
                kept.append(entry.path)
            if len(folders) < _FOLDERS and is_data:
                folders[tuple(entry.path.split("/")[:-1])] = None
        self.folders: Sequence[tuple[str, ...]] = tuple(folders)
        """The folders that hold data, each as the names on the way to it."""

    def ending_in(self, *endings: str) -> list[str]:
        """Some paths that end so, at most 64 for each ending."""
        return [path for one in endings for path in self._paths.get(one, ())]

    def columns(self, path: str) -> Sequence[str]:
        """The names of a table's columns; none when it is no table."""
        if path not in self._columns:
            try:
                self._columns[path] = columns_of(self._tree, path)
            except (Refused, OSError):
                self._columns[path] = ()
        return self._columns[path]

    def head(self, path: str) -> bytes:
        """How a file begins; empty when it cannot be read."""
        if path not in self._heads:
            try:
                with self._tree.open(path) as file:
                    self._heads[path] = file.read(_HEAD)
            except (Refused, OSError):
                self._heads[path] = b""
        return self._heads[path]
