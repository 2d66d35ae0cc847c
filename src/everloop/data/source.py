"""A source opened: its tree of files, the format they are in, and a digest of what lies there."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from everloop.data.formats.detect import by_name, detect
from everloop.data.formats.format import Format, Wanted
from everloop.data.formats.sketch import Sketch
from everloop.data.sources.opened import open_tree
from everloop.data.sources.tree import Tree, is_note


@dataclass(frozen=True, slots=True)
class OpenSource:
    """What is about to be taken in."""

    tree: Tree
    format: Format
    why: str
    """Why it is taken to be in this format."""
    files: int
    """How many files it holds; labels and notes are among them."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in a source now."""

    digest: str
    """Of all paths and stamps: it changes when the source does."""
    files: int


@contextmanager
def open_source(location: str, wanted: Wanted, format_name: str | None) -> Iterator[OpenSource]:
    """The source at a location, in the named format or the one it is found to be in.

    Raises `Refused` when there is nothing, when the format cannot be told, and for an archive
    that may not be unpacked.
    """
    tree = open_tree(location)
    try:
        sketch = Sketch(tree)
        if format_name is None:
            found, why = detect(sketch, wanted, location)
        else:
            found, why = by_name(format_name), "it was named"
        yield OpenSource(tree, found, why, sketch.files)
    finally:
        tree.close()


def listing(location: str) -> Listing:
    """What lies at a location; nothing is opened but an archive's own table of contents."""
    tree = open_tree(location)
    try:
        digest, files = hashlib.sha256(), 0
        for entry in tree.walk():
            if not is_note(entry.path):
                digest.update(os.fsencode(f"{len(entry.path)} {entry.path} {entry.stamp}\n"))
                files += not entry.path.endswith(".txt")
        return Listing(digest.hexdigest(), files)
    finally:
        tree.close()
