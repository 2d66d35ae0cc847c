"""Between the event loop and the disk: answers wait for their capture, but never for long."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from everloop_runtime.capture import AnswerBatch, CapturePolicy, CaptureWriter, Disk
from everloop_runtime.segments import FeedbackRecord

Record = AnswerBatch | FeedbackRecord
Then = Callable[[], None]

_FIXED = 300
"""Bytes a record costs besides its image, roughly."""


@dataclass(slots=True)
class _Pending:
    """A record that is on its way to the disk."""

    number: int
    size: int
    since: float
    then: Then | None
    """None once it was called."""


class Outbox:
    """Hands records to a thread that writes them, and tells when each is kept.

    What waits too long is told of all the same and counted as late; what finds the queue full is
    dropped and counted. So a disk that hangs slows an answer by `patience` at most.
    """

    def __init__(self, folder: Path, policy: CapturePolicy, disk: Disk | None = None) -> None:
        self._policy = policy
        self._writer = CaptureWriter(folder, policy, disk)
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[tuple[int, Record | None, Then | None]] = SimpleQueue()
        self._pending: deque[_Pending] = deque()
        self._waiting_bytes = 0
        self._number = 0
        self.keeps_all = policy.mode != "sampled"
        """Whether `wants` would always say yes."""
        self._watching = False
        self.late = 0
        """Records whose answer was sent before they were kept."""
        self.overflowed = 0
        """Records that were dropped since too many waited."""
        self.skipped = 0
        """Answers that sampling left out."""
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Records that could not be kept."""
        return self._writer.dropped + self.overflowed

    @property
    def bytes(self) -> int:
        """Bytes written."""
        return self._writer.bytes

    @property
    def complaint(self) -> str | None:
        """Why the last record could not be kept; None when it was."""
        return self._writer.complaint

    def put(self, record: Record, then: Then) -> None:
        """Have a record kept; `then` is called in the event loop once its answer may be sent."""
        size = _size(record)
        if self._waiting_bytes + size > self._policy.queue_bytes:
            self.overflowed += len(record.rows) if isinstance(record, AnswerBatch) else 1
            then()
            return
        self._number += 1
        self._waiting_bytes += size
        self._pending.append(_Pending(self._number, size, self._loop.time(), then))
        self._queue.put((self._number, record, None))
        if not self._watching:
            self._watching = True
            self._loop.call_later(self._policy.patience, self._watch)

    def wants(self, number: int) -> bool:
        """Whether sampling keeps an answer; `number` is uniform in [0, 2^32)."""
        if self.keeps_all or number < self._policy.share * 2**32:
            return True
        self.skipped += 1
        return False

    def _work(self) -> None:
        while True:
            number, record, then = self._queue.get()
            while True:
                if record is not None:
                    self._writer.append(record)
                elif then is None:
                    return
                else:
                    self._writer.seal()
                    self._call(self._kept, number)
                    self._call(then)
                if self._queue.empty():
                    break
                number, record, then = self._queue.get()
            self._call(self._kept, number)

    def _call(self, what: Callable[..., None], *given: int) -> None:
        # The loop may be closed when the disk was slower than the end of the service.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *given)

    def _kept(self, last: int) -> None:
        pending = self._pending
        while pending and pending[0].number <= last:
            done = pending.popleft()
            self._waiting_bytes -= done.size
            if done.then is not None:
                done.then()

    def _watch(self) -> None:
        """Tell of what has waited too long; until it is kept it still takes its room."""
        now, patience = self._loop.time(), self._policy.patience
        for waiting in list(self._pending):
            if waiting.then is None:
                continue
            if now - waiting.since < patience:
                self._loop.call_later(patience - (now - waiting.since), self._watch)
                return
            then, waiting.then = waiting.then, None
            self.late += 1
            then()
        self._watching = False

    async def seal(self) -> None:
        """Close the open segment; what was put before is in it."""
        done = asyncio.Event()
        self._queue.put((self._number, None, done.set))
        await done.wait()

    async def close(self) -> None:
        """Write what waits, seal, end."""
        self._queue.put((self._number, None, None))
        await asyncio.to_thread(self._thread.join, 30)
        await asyncio.to_thread(self._writer.close)


def _size(record: Record) -> int:
    if isinstance(record, FeedbackRecord):
        return _FIXED
    return sum(map(len, record.images)) + _FIXED * len(record.rows)
