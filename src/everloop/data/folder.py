"""Files in a folder of this machine, behind the port that all storage has."""

import mmap
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from everloop.errors import Refused, Unavailable
from everloop_runtime.files import sync_directory, write_new

if TYPE_CHECKING:
    from everloop.data.blobs import Blob


def checked_key(key: str) -> str:
    """The key itself; `Refused` unless it is a plain relative path."""
    parts = key.split("/")
    if "\0" in key or any(part in ("", ".", "..") for part in parts):
        raise Refused(f"a key is a relative path without '.' and '..'; got {key!r}")
    return key


class FolderBlobs:
    """See `BlobStore`. A file is drafted beside its place and linked into it: the first wins."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, data: bytes) -> bool:
        """See `BlobStore`."""
        path = self._path(key)
        with _translated(key):
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{DRAFT}{secrets.token_hex(8)}")
            try:
                write_new(draft, data)
                # A link, since renaming would replace what another wrote in the meantime.
                path.hardlink_to(draft)
            except FileExistsError:
                return False
            finally:
                draft.unlink(missing_ok=True)
            sync_directory(path.parent)
        return True

    def get(self, key: str) -> bytes | None:
        """See `BlobStore`."""
        path = self._path(key)
        with _translated(key):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """See `BlobStore`."""
        path = self._path(key)
        with _translated(key):
            try:
                with path.open("rb") as file:
                    file.seek(start)
                    return file.read(length)
            except FileNotFoundError:
                return None

    def view(self, key: str) -> memoryview | None:
        """See `BlobStore`."""
        path = self._path(key)
        with _translated(key):
            try:
                with path.open("rb") as file:
                    if not os.fstat(file.fileno()).st_size:
                        return memoryview(b"")
                    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except FileNotFoundError:
                return None

    def list(self, under: str = "") -> "Iterator[Blob]":
        """See `BlobStore`."""
        from everloop.data.blobs import Blob

        for path in _files(self._path(under) if under else self._folder):
            key = path.relative_to(self._folder).as_posix()
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            yield Blob(key, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))

    def delete(self, keys: Iterable[str]) -> None:
        """See `BlobStore`."""
        folders = set()
        for key in keys:
            path = self._path(key)
            with _translated(key):
                path.unlink(missing_ok=True)
            folders.add(path.parent)
        for folder in folders:
            with _translated(folder.name):
                if folder.is_dir():
                    sync_directory(folder)

    def _path(self, key: str) -> Path:
        return self._folder.joinpath(*PurePosixPath(checked_key(key)).parts)


DRAFT = ".draft-"
"""How the names of files begin that are being written."""


def _files(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif not entry.name.startswith(DRAFT):
            yield Path(entry.path)


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{key} cannot be used: {error}") from error
