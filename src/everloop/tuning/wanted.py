"""Whether the command that asked for trials still lives, as its workers see it."""

import time
from pathlib import Path

_SILENT = 60.0
"""Seconds without a sign of life after which it is taken for dead."""


class Wanted:
    """Whether the command that began this call still lives: it writes anew every few seconds.

    A file, as workers may run on other machines. The moments are this process's own.
    """

    def __init__(self, folder: Path, call: str) -> None:
        self._folder = folder
        self._call = call
        self._seen = ""
        self._since = time.monotonic()

    def __call__(self) -> bool:
        """Ask again."""
        try:
            said = (self._folder / "alive").read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        if said != self._seen:
            self._seen, self._since = said, time.monotonic()
        return said.startswith(self._call) and time.monotonic() - self._since < _SILENT


def stay_wanted(folder: Path, call: str, beat: int) -> None:
    """Say that `call` lives."""
    draft = folder / f".alive.{call}"
    draft.write_text(f"{call} {beat}", encoding="utf-8")
    draft.replace(folder / "alive")


def want_no_more(folder: Path) -> None:
    """Let the workers end at once; trials under way are cut short, and tried again another time."""
    (folder / "alive").unlink(missing_ok=True)
