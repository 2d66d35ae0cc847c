"""The figures of a training, line by line in a file that outlives whoever writes it."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

Figure: TypeAlias = tuple[int, str, float, int]
"""`(step, name, value, milliseconds since 1970)`"""

NAME = "figures.jsonl"
_TAIL = 8192


class FigureFile:
    """Where one attempt writes its figures; each is with the kernel when `write` returns."""

    def __init__(self, folder: Path, *, fresh: bool) -> None:
        """`fresh`: what an earlier attempt left behind is of no use."""
        self._path = folder / NAME
        if fresh:
            self._path.unlink(missing_ok=True)
        self._file: io.FileIO | None = None

    def write(self, step: int, metrics: Mapping[str, float], at: int) -> None:
        """Add figures of one step."""
        lines = [
            json.dumps({"step": step, "name": name, "value": value, "at": at}) + "\n"
            for name, value in metrics.items()
        ]
        self._opened().write("".join(lines).encode())

    def length(self) -> int:
        """Bytes so far: what a checkpoint keeps."""
        return self._opened().tell()

    def go_on_from(self, length: int) -> None:
        """What was written after a checkpoint is written once more: forget it."""
        self.close()
        self._path.touch()
        self._file = self._path.open("r+b", buffering=0)
        self._file.truncate(min(length, self._file.seek(0, io.SEEK_END)))
        self._file.seek(0, io.SEEK_END)

    def close(self) -> None:
        """No figure follows."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> io.FileIO:
        if self._file is None or self._file.closed:
            self._file = self._path.open("wb", buffering=0)
        return self._file


def read_figures(folder: Path) -> list[Figure]:
    """All figures logged in `folder`, in their order."""
    path = folder / NAME
    return _parsed(path.read_bytes()) if path.exists() else []


def last_figures(folder: Path) -> list[Figure]:
    """The newest figures alone, without reading the whole file."""
    path = folder / NAME
    if not path.exists():
        return []
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    return _parsed(tail if size <= _TAIL else tail.partition(b"\n")[2])


def _parsed(lines: bytes) -> list[Figure]:
    figures: list[Figure] = []
    for line in lines.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            break  # The attempt was killed inside its last line.
        figures.append((row["step"], row["name"], row["value"], row["at"]))
    return figures
