"""What writing captures asks of the file system."""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from everloop_runtime.files import sync_directory


class Disk:
    """What a writer asks of the file system; a test puts another in its place."""

    def create(self, path: Path) -> int:
        """A new file, open for appending and locked by this process."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return handle

    def write(self, handle: int, parts: Sequence[bytes]) -> None:
        """Hand all the parts to the operating system."""
        data = b"".join(parts)
        left = memoryview(data)
        while left:
            # A write may take less than it was given.
            left = left[os.write(handle, left) :]

    def sync(self, handle: int) -> None:
        """Return once the file's bytes are on the disk."""
        os.fdatasync(handle)

    def sync_names(self, folder: Path) -> None:
        """Return once the names in a folder are on the disk."""
        sync_directory(folder)
