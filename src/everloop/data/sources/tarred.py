"""A tar archive, packed or not, as a source."""

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from everloop.data.sources.archive import (
    DEFAULT_ARCHIVE_LIMITS,
    ArchiveLimits,
    Tally,
    safe_name,
)
from everloop.data.sources.tree import Entry, TooLarge, is_hidden
from everloop.errors import Refused

_PIECE = 2**20
_BROKEN = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)
_MAGIC: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZ": bz2.open,
    b"\xfd7": lzma.open,
}


class TarTree:
    """The members of a tar, all checked when it is opened.

    A packed one is unpacked to one scratch file first, within the limits: a packed stream can
    only be read from its beginning.
    """

    readers = 1

    def __init__(self, path: Path, limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS) -> None:
        """Raises `Refused` for a member that leads out, a link, a device, or a bomb."""
        self.name = path.name
        self._file = self._unpacked(path, limits)
        try:
            self._members = self._checked(path.stat().st_size, limits)
        except tarfile.TarError as error:
            self._file.close()
            raise Refused(f"{path.name} is not a tar archive that can be read: {error}") from error
        except BaseException:
            self._file.close()
            raise

    def _unpacked(self, path: Path, limits: ArchiveLimits) -> BinaryIO:
        with path.open("rb") as head:
            unpack = _MAGIC.get(head.read(2))
        if unpack is None:
            return path.open("rb")
        scratch = cast("BinaryIO", tempfile.TemporaryFile(prefix="everloop-tar-"))  # noqa: SIM115
        tally = Tally(self.name, path.stat().st_size, limits)
        try:
            with unpack(path) as packed:
                while piece := packed.read(_PIECE):
                    tally.add("", len(piece), None)
                    scratch.write(piece)
        except _BROKEN as error:
            scratch.close()
            raise Refused(f"{path.name} cannot be unpacked: {error}") from error
        except BaseException:
            scratch.close()
            raise
        scratch.seek(0)
        return scratch

    def _checked(self, packed: int, limits: ArchiveLimits) -> dict[str, tuple[int, int, str]]:
        tally = Tally(self.name, packed, limits)
        members: dict[str, tuple[int, int, str]] = {}
        with tarfile.open(fileobj=self._file, mode="r:") as tar:
            for info in tar:
                # Without this the library keeps every header it has seen.
                tar.members = []  # type: ignore[attr-defined]
                path = safe_name(self.name, info.name)
                if info.isdir():
                    continue
                if not info.isreg() or info.issparse():
                    raise Refused(
                        f"{self.name} has a member {path!r} that is a link, a device or sparse; "
                        "nothing is taken"
                    )
                tally.add(path, info.size, None)
                if path in members:
                    raise Refused(f"{self.name} has two members named {path!r}")
                if not is_hidden(path):
                    members[path] = (info.offset_data, info.size, f"{info.size}-{info.mtime}")
        return dict(sorted(members.items()))

    def walk(self) -> Iterator[Entry]:
        """Every file once, by path."""
        for path, (_, size, stamp) in self._members.items():
            yield Entry(path, size, stamp)

    def read(self, path: str, most: int) -> bytes:
        """The bytes of one file; `TooLarge` beyond `most`, `Refused` when there is no such file."""
        place = self._members.get(path)
        if place is None:
            raise Refused(f"{path!r} is not in the source")
        start, size, _ = place
        if size > most:
            raise TooLarge(f"it has {size} bytes; at most {most} are taken")
        self._file.seek(start)
        data = self._file.read(size)
        if len(data) < size:
            raise Refused("the archive ends inside it")
        return data

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """The same as a stream."""
        place = self._members.get(path)
        if place is None:
            raise Refused(f"{path!r} is not in the source")
        start, size, _ = place
        with io.BufferedReader(_Part(self._file, start, size)) as part:
            yield cast("BinaryIO", part)

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return path in self._members

    def close(self) -> None:
        """Close the archive; a scratch file goes with it."""
        self._file.close()


class _Part(io.RawIOBase):
    """A window on a file that others read too."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._source, self._at, self._end = file, start, start + size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        self._source.seek(self._at)
        data = self._source.read(min(len(buffer), self._end - self._at))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
