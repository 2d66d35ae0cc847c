"""Batches handed to decoding processes and collected in order, dead processes replaced."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any

from everloop.data.decoding_process import SLOTS, Job, Process, how
from everloop.data.examined import Bad, DecodingLimits, Examined
from everloop.errors import Unavailable

_LOOK = 0.2
"""Seconds between looks at whether the caller has gone."""
_STILLBORN = 5
"""Processes in a row that end before any picture: then it is not the pictures."""


@dataclass(slots=True)
class Batch:
    """Pictures that were read together."""

    keys: list[Any] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    found: list[Examined | Bad | None] = field(default_factory=list)
    missing: int = 0


class Pump:
    """Used by one thread."""

    def __init__(self, limits: DecodingLimits, workers: int, command: Sequence[str]) -> None:
        self._limits = limits
        self._workers = workers
        self._command = command
        self._processes: list[Process] = []
        self._waiting: deque[Job] = deque()
        self._open: dict[int, Batch] = {}
        self._deaths = 0

    def run(self, batches: Iterator[Batch], stopped: threading.Event) -> Iterator[Batch]:
        """Each batch once all its pictures are examined, in order."""
        first, last, more = 0, 0, True
        while not stopped.is_set():
            while more and not self._waiting and len(self._open) < 2 * SLOTS * self._workers:
                batch = next(batches, None)
                if batch is None:
                    more = False
                    break
                self._accept(last, batch)
                last += 1
                self._dispatch()
                self._collect(0)
            self._dispatch()
            while first in self._open and not self._open[first].missing:
                yield self._open.pop(first)
                first += 1
            if not self._open and not more:
                return
            self._collect(_LOOK)

    def close(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.end()
        self._processes.clear()

    def _accept(self, number: int, batch: Batch) -> None:
        batch.found = [None] * len(batch.keys)
        batch.missing = len(batch.keys)
        self._open[number] = batch
        most = self._limits.image.max_bytes
        # What is too large for the shared memory is refused before it gets there.
        fits = []
        for row, data in enumerate(batch.data):
            if len(data) <= most:
                fits.append(row)
                continue
            told = f"it has {len(data)} bytes; at most {most} are taken"
            self._found(batch, row, Bad("too-many-bytes", told))
        if fits:
            self._waiting.append(Job(number, tuple(fits)))

    def _found(self, batch: Batch, row: int, found: Examined | Bad) -> None:
        batch.found[row] = found
        batch.missing -= 1

    def _dispatch(self) -> None:
        while self._waiting and (process := self._next()) is not None:
            job = self._waiting.popleft()
            data = self._open[job.batch].data
            process.hand(job, [data[row] for row in job.rows])

    def _next(self) -> Process | None:
        """The process with the least to do; another one before any has to hold two jobs."""
        free = [process for process in self._processes if process.has_room]
        chosen = min(free, key=lambda process: len(process.jobs), default=None)
        if chosen is not None and not chosen.jobs:
            return chosen
        if len(self._processes) < self._workers:
            process = Process(self._limits, self._command)
            self._processes.append(process)
            return process
        return chosen

    def _collect(self, seconds: float) -> None:
        busy: dict[Any, Process] = {p.connection: p for p in self._processes if p.jobs}
        for connection in wait(list(busy), seconds) if busy else ():
            process = busy[connection]
            try:
                job, found = process.answer()
            except (EOFError, OSError):
                self._bury(process)
                continue
            self._deaths = 0
            batch = self._open[job.batch]
            if len(found) == len(batch.found):
                batch.found, batch.missing = list(found), 0
                continue
            for row, each in zip(job.rows, found, strict=True):
                self._found(batch, row, each)

    def _bury(self, process: Process) -> None:
        """Replace a dead process: try what it had in hand alone, and the rest again."""
        self._processes.remove(process)
        index = process.in_hand()
        status = process.end()
        suspect, *others = [job for _, job, _ in process.jobs]
        self._waiting.extendleft(reversed(others))
        if index is None:
            self._waiting.appendleft(suspect)
            self._stillborn(status)
            return
        row = suspect.rows[index]
        tried = suspect.tries + 1
        rest = tuple(other for other in suspect.rows if other != row)
        if rest:
            self._waiting.appendleft(Job(suspect.batch, rest))
        if tried < self._limits.tries:
            self._waiting.appendleft(Job(suspect.batch, (row,), tried))
        else:
            self._found(self._open[suspect.batch], row, how(status, self._limits))

    def _stillborn(self, status: int) -> None:
        self._deaths += 1
        if self._deaths >= _STILLBORN:
            told = f"{_STILLBORN} processes in a row ended before they decoded anything"
            raise Unavailable(f"{told}, the last with status {status}: is there memory left?")
