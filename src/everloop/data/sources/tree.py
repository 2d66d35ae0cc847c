"""The port: a source's files by their paths, however the source keeps them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, Protocol

from everloop.errors import Refused

_NOTE_NAMES = frozenset(
    ("license", "licence", "copying", "notice", "readme", "sha256sums", "md5sums", "thumbs.db")
)


class Entry(NamedTuple):
    """A file of a source."""

    path: str
    """Its folders and name, `/` between them, as the source spells them; any text."""
    size: int
    """Bytes, as the source says."""
    stamp: str
    """Changes when the file does."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class TooLarge(Refused):
    """A file has more bytes than may be read."""


class Tree(Protocol):
    """The files of one source. Links are not followed, hidden files are not there."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def readers(self) -> int:
        """How many threads may read at once, and gain by it."""

    def walk(self) -> Iterator[Entry]:
        """Every file once, always in the same order; the listing is not held in memory."""

    def read(self, path: str, most: int) -> bytes:
        """The bytes of one file; `TooLarge` beyond `most`, `Refused` when there is no such file."""

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """The same as a stream, for files that are read piece by piece."""

    def has(self, path: str) -> bool:
        """Whether there is such a file."""

    def close(self) -> None:
        """Let go of what was opened or unpacked."""


def is_note(path: str) -> bool:
    """Whether a file is there for people, such as a README or a licence, and no data.

    >>> is_note("data/README.md"), is_note("cat/1.png")
    (True, False)
    """
    name = path.rpartition("/")[2].lower()
    return name.endswith(".md") or name in _NOTE_NAMES


def is_text(path: str) -> bool:
    """Whether a file is a note, or text that no picture format reads as a picture."""
    lower = path.lower()
    return lower.endswith((".txt", ".md")) or lower.rpartition("/")[2] in _NOTE_NAMES


def is_hidden(path: str) -> bool:
    """Whether a part of a path begins with a dot, or is what macOS adds to archives."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


def ending(path: str) -> str:
    """The last suffix of a path in lower case, with the packing's before it.

    >>> ending("a/B.JPG"), ending("hour.csv.gz"), ending("LICENSE")
    ('.jpg', '.csv.gz', '')
    """
    stem, dot, last = path.rpartition("/")[2].lower().rpartition(".")
    if last == "gz" and "." in stem:
        return f".{stem.rpartition('.')[2]}.gz"
    return dot + last if dot else ""
