"""A source opened: its tree of files, and the format they are in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from everloop.data.formats.detect import by_name, detect
from everloop.data.formats.format import Format, Wanted
from everloop.data.formats.sketch import Sketch
from everloop.data.location import Place, located
from everloop.data.sources.opened import open_tree
from everloop.data.sources.tree import Tree


@dataclass(frozen=True, slots=True)
class OpenSource:
    """What is about to be taken in."""

    tree: Tree
    format: Format
    why: str
    """Why it is taken to be in this format."""
    files: int
    """How many files it holds; labels and notes are among them."""


@contextmanager
def open_source(place: Place, wanted: Wanted, format_name: str | None) -> Iterator[OpenSource]:
    """The source at a place, in the named format or the one it is found to be in.

    Raises `Refused` when there is nothing, when the format cannot be told, and for an archive
    that may not be unpacked.
    """
    tree = open_tree(place)
    try:
        sketch = Sketch(tree)
        if format_name is None:
            found, why = detect(sketch, wanted, located(place).uri)
        else:
            found, why = by_name(format_name), "it was named"
        yield OpenSource(tree, found, why, sketch.files)
    finally:
        tree.close()
