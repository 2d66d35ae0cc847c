"""A local folder, or one file of it, as a source."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from everloop.data.sources.tree import Entry, TooLarge
from everloop.errors import Refused


class FolderTree:
    """The files below a folder; a source that is a single file has just that one."""

    readers = 1

    def __init__(self, place: Path) -> None:
        """Raises `Refused` when there is nothing at `place`."""
        if not place.exists():
            raise Refused(f"{place} is not a folder, nor a file")
        self.name = place.name or str(place)
        self._single = place.name if place.is_file() else None
        self._root = str(place.parent if self._single else place)

    def walk(self) -> Iterator[Entry]:
        """Every file once: a folder's own files by name, then its folders by name."""
        if self._single is not None:
            yield _entry(os.stat(self._file(self._single)), self._single)  # noqa: PTH116
            return
        yield from self._walk(self._root, "")

    def _walk(self, folder: str, prefix: str) -> Iterator[Entry]:
        folders: list[str] = []
        files: list[tuple[str, os.stat_result]] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif entry.is_file(follow_symlinks=False):
                    files.append((entry.name, entry.stat(follow_symlinks=False)))
        files.sort(key=lambda file: file[0])
        for name, facts in files:
            yield _entry(facts, prefix + name)
        for name in sorted(folders):
            yield from self._walk(f"{folder}/{name}", f"{prefix}{name}/")

    def read(self, path: str, most: int) -> bytes:
        """The bytes of one file; `TooLarge` beyond `most`, `Refused` when there is no such file."""
        handle = self._open(path)
        try:
            size = os.fstat(handle).st_size
            if size > most:
                raise TooLarge(f"it has {size} bytes; at most {most} are taken")
            data = os.read(handle, size + 1)
            # What ends where it said was read whole; to ask for more would cost as much again.
            while len(data) != size and len(data) <= most:
                more = os.read(handle, most + 1 - len(data))
                if not more:
                    break
                data += more
        finally:
            os.close(handle)
        if len(data) > most:
            raise TooLarge(f"it has more than {most} bytes; at most {most} are taken")
        return data

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """The same as a stream."""
        with os.fdopen(self._open(path), "rb") as file:
            yield file

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        try:
            return stat.S_ISREG(os.lstat(self._file(path)).st_mode)
        except (OSError, ValueError, Refused):
            return False

    def close(self) -> None:
        """Nothing is held open."""

    def _open(self, path: str) -> int:
        try:
            # Never through a link, and never waiting at a pipe that took the file's place.
            return os.open(self._file(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            raise Refused(f"{path!r} is not in the source") from error

    def _file(self, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/"):
            raise Refused(f"{path!r} leads out of the source")
        return f"{self._root}/{path}"


def _entry(facts: os.stat_result, path: str) -> Entry:
    return Entry(path, facts.st_size, f"{facts.st_size}-{facts.st_mtime_ns}")
