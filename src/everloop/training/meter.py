"""What a run has cost, over all its lives: a run that was killed and went on has several."""

import json
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from everloop_runtime.files import write_atomic

NAME = "usage.json"


class Meter:
    """Counts one life, on top of what earlier ones wrote down."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._before = read_usage(folder)
        self._began = time.monotonic()
        self._step: int | None = None
        self.keep()

    def keep(self, step: int | None = None) -> None:
        """Write down the cost so far; `step`: that of a checkpoint."""
        self._step = self._step if step is None else step
        write_atomic(self._path, json.dumps(self.usage()).encode())

    def usage(self) -> Mapping[str, float]:
        """`training_seconds`, `core_seconds` and `peak_memory_mib`, children's too; `lives`."""
        mine = resource.getrusage(resource.RUSAGE_SELF)
        theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
        cores = sum(usage.ru_utime + usage.ru_stime for usage in (mine, theirs))
        peak = max(mine.ru_maxrss, theirs.ru_maxrss) / 1024
        before = self._before
        told = {
            "training_seconds": before.get("training_seconds", 0.0)
            + time.monotonic()
            - self._began,
            "core_seconds": before.get("core_seconds", 0.0) + cores,
            "peak_memory_mib": max(before.get("peak_memory_mib", 0.0), peak),
            "lives": before.get("lives", 0) + 1,
        }
        step = before.get("checkpoint") if self._step is None else self._step
        return told if step is None else {**told, "checkpoint": step}


def read_usage(folder: Path) -> Mapping[str, float]:
    """What the lives of a run wrote down; of one that was killed, what it knew at a checkpoint."""
    path = folder / NAME
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return found
