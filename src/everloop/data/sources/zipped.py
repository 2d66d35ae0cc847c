"""A zip archive as a source."""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from everloop.data.sources.archive import (
    DEFAULT_ARCHIVE_LIMITS,
    ArchiveLimits,
    Tally,
    safe_name,
)
from everloop.data.sources.tree import Entry, TooLarge, is_hidden
from everloop.errors import Refused

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
_ENCRYPTED = 0x1


class ZipTree:
    """The members of a zip, all checked when it is opened, unpacked one by one when read."""

    readers = 1

    def __init__(self, path: Path, limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS) -> None:
        """Raises `Refused` for a member that leads out, a link, an encrypted one, or a bomb."""
        self.name = path.name
        try:
            self._zip = zipfile.ZipFile(path)
        except (*_BROKEN, ValueError) as error:
            raise Refused(f"{path.name} is not a zip archive that can be read: {error}") from error
        try:
            self._members = self._checked(path.stat().st_size, limits)
        except BaseException:
            self._zip.close()
            raise

    def _checked(self, packed: int, limits: ArchiveLimits) -> dict[str, zipfile.ZipInfo]:
        tally = Tally(self.name, packed, limits)
        members: dict[str, zipfile.ZipInfo] = {}
        together = 0
        for info in self._zip.infolist():
            path = safe_name(self.name, info.filename)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise Refused(f"{self.name} has a member {path!r} that is a link or a device")
            if info.is_dir() or not path:
                continue
            if info.flag_bits & _ENCRYPTED:
                raise Refused(f"{self.name} is encrypted; unpack it and import the folder")
            tally.add(path, info.file_size, info.compress_size)
            together += info.compress_size
            if path in members:
                raise Refused(f"{self.name} has two members named {path!r}")
            if not is_hidden(path):
                members[path] = info
        if together > packed:
            raise Refused(f"{self.name} has members that share bytes: it is taken for a bomb")
        return dict(sorted(members.items()))

    def walk(self) -> Iterator[Entry]:
        """Every file once, by path."""
        for path, info in self._members.items():
            yield Entry(path, info.file_size, f"{info.file_size}-{info.CRC:08x}")

    def read(self, path: str, most: int) -> bytes:
        """The bytes of one file; `TooLarge` beyond `most`, `Refused` when there is no such file."""
        with self.open(path) as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise TooLarge(f"it has more than {most} bytes; at most {most} are taken")
        return data

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """The same as a stream."""
        info = self._members.get(path)
        if info is None:
            raise Refused(f"{path!r} is not in the source")
        try:
            with self._zip.open(info) as file:
                yield cast("BinaryIO", file)
        except _BROKEN as error:
            raise Refused(f"it cannot be unpacked: {error}") from error

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return path in self._members

    def close(self) -> None:
        """Close the archive."""
        self._zip.close()
