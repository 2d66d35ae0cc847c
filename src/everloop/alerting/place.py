"""The files about one letter's attempts: who is at it, and what came of it."""

import fcntl
import json
import os
from pathlib import Path

from everloop_runtime.files import write_atomic


class Place:
    """A lock, which a sender inherits and holds until it ends, and a result beside it."""

    def __init__(self, folder: Path, letter: str) -> None:
        self._lock = folder / f"{letter}.lock"
        self.result = folder / f"{letter}.json"

    def take(self) -> tuple[int, bool] | None:
        """The lock as a file descriptor, and whether an attempt before was cut short.

        None while somebody else is at it.
        """
        handle = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        is_again = os.read(handle, 1) != b""
        os.write(handle, b"1")
        os.fsync(handle)
        return handle, is_again

    def concluded(self) -> tuple[bool, str | None]:
        """Whether an attempt has come to its end, and why it failed."""
        try:
            told = json.loads(self.result.read_bytes())
        except FileNotFoundError:
            return False, None
        return True, told["error"]

    def clear(self) -> None:
        """Forget the attempt, once what came of it is known."""
        self._lock.unlink(missing_ok=True)
        self.result.unlink(missing_ok=True)


def conclude(result: Path, error: str | None) -> None:
    """Write down what came of an attempt; it is on the disk when this returns."""
    write_atomic(result, json.dumps({"error": error}).encode())
