"""Where a study's trials are kept: one file of lines, written by several processes at once.

Optuna's own backend for files locks by a file that a killed process leaves behind, stops at a line
that was cut short, and waits for the disk at each of a trial's dozen lines. Here the lock is the
kernel's, a torn end is cut off by the next writer, and what a power cut may cost is the last
trials of a study, which are tried again.
"""

import fcntl
import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from optuna.storages.journal import BaseJournalBackend

_TAIL = 65_536


class Journal(BaseJournalBackend):
    """Optuna's journal in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read, self._place = 0, 0
        """How many lines were read, and where the next one begins."""
        path.touch(exist_ok=True)

    def append_logs(self, logs: Sequence[dict[str, Any]]) -> None:
        """Add lines, all of them or none."""
        lines = b"".join(json.dumps(log).encode() + b"\n" for log in logs)
        with self._path.open("r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(_end(file))
            file.seek(0, 2)
            file.write(lines)

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """All lines from one on; what is being written is left for the next time."""
        if log_number_from != self._read:
            self._read, self._place = 0, 0
        with self._path.open("rb") as file:
            file.seek(self._place)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.splitlines()
        skipped = log_number_from - self._read
        self._read += len(lines)
        self._place += len(whole)
        return [json.loads(line) for line in lines[skipped:]]


def _end(file: IO[bytes]) -> int:
    """Where the last whole line ends."""
    size = file.seek(0, 2)
    if size == 0:
        return 0
    start = max(0, size - 1)
    while True:
        file.seek(start)
        found = file.read(size - start).rfind(b"\n")
        if found >= 0 or start == 0:
            return start + found + 1
        start = max(0, start - _TAIL)
