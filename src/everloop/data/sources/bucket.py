"""A prefix of an object store as a source."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from everloop.data.blobs import open_blobs
from everloop.data.location import Location
from everloop.data.sources.tree import Entry, TooLarge, is_hidden
from everloop.errors import Refused

_PIECE = 16 * 2**20
_IN_MEMORY = 32 * 2**20


class BucketTree:
    """The objects under a prefix, or one object. Listed once; the list is kept on disk."""

    readers = 16

    def __init__(self, location: Location, single: str | None = None) -> None:
        """`single`: the one object under `location` that the source is."""
        self.name = single or location.name
        self._blobs = open_blobs(location)
        self._single = single
        self._listed: BinaryIO | None = None

    def walk(self) -> Iterator[Entry]:
        """Every object once; later walks replay the first."""
        if self._listed is None:
            scratch = cast("BinaryIO", tempfile.TemporaryFile(prefix="everloop-list-"))  # noqa: SIM115
            for blob in self._blobs.list():
                if is_hidden(blob.key) or (self._single or blob.key) != blob.key:
                    continue
                stamp = f"{blob.size}-{blob.modified.isoformat()}"
                scratch.write(json.dumps([blob.key, blob.size, stamp]).encode() + b"\n")
            self._listed = scratch
        yield from _replayed(self._listed)

    def read(self, path: str, most: int) -> bytes:
        """The bytes of one object; `TooLarge` beyond `most`, `Refused` when there is none."""
        data = self._blobs.get_range(path, 0, most + 1)
        if data is None:
            raise Refused(f"{path!r} is not in the source")
        if len(data) > most:
            raise TooLarge(f"it has more than {most} bytes; at most {most} are taken")
        return data

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """The same as a stream; a large one lies in a scratch file meanwhile."""
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, prefix="everloop-object-") as file:
            self._copy(path, cast("BinaryIO", file))
            file.seek(0)
            yield cast("BinaryIO", file)

    def copy_to(self, path: str, target: Path) -> None:
        """Write an object to a local file."""
        with target.open("wb") as file:
            self._copy(path, file)

    def _copy(self, path: str, file: BinaryIO) -> None:
        start = 0
        while True:
            piece = self._blobs.get_range(path, start, _PIECE)
            if piece is None:
                raise Refused(f"{path!r} is not in the source")
            file.write(piece)
            start += len(piece)
            if len(piece) < _PIECE:
                return

    def has(self, path: str) -> bool:
        """Whether there is such an object."""
        try:
            return self._blobs.get_range(path, 0, 1) is not None
        except Refused:
            return False

    def close(self) -> None:
        """Let go of the list."""
        if self._listed is not None:
            self._listed.close()


def _replayed(listed: BinaryIO) -> Iterator[Entry]:
    at = 0
    while True:
        # Several walks may be under way at once.
        listed.seek(at)
        lines = listed.readlines(_PIECE)
        at = listed.tell()
        if not lines:
            return
        for line in lines:
            yield Entry(*json.loads(line))
