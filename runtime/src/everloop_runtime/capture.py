"""Answered requests, appended to durable segments until the loop moves them to the store.

A record is handed to the operating system before its answer is sent, so that a killed process
loses nothing it answered. It is on the disk before that too (`sync`), or at most 100 ms later
(`batched`), which is what a power cut may cost. The process that writes a segment holds a lock on
it, so a segment left by a killed process can be told from a live one, and is sealed by whoever
finds it. `segments` has the format.
"""

import contextlib
import fcntl
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from everloop_runtime.disk import Disk
from everloop_runtime.ids import SampleId
from everloop_runtime.records import AnswerBatch, Record, count, encode
from everloop_runtime.segments import (
    OPEN,
    SEALED,
    Captured,
    FeedbackRecord,
    read_feedback,
    read_segment,
    whole_frames,
)

__all__ = [
    "AnswerBatch",
    "CapturePolicy",
    "CaptureWriter",
    "Captured",
    "Disk",
    "FeedbackRecord",
    "read_feedback",
    "read_segment",
    "seal_leftovers",
    "sealed_segments",
]

_REMEMBERED = 16_000_000
"""Bytes of images that are remembered, so that one that comes again is not written again."""


@dataclass(frozen=True, slots=True)
class CapturePolicy:
    """What is kept of the answers, and how surely."""

    mode: Literal["sync", "batched", "sampled"] = "batched"
    """`sync`: on the disk before the answer is sent. `batched`: with the operating system before
    the answer is sent, on the disk within 100 ms. `sampled`: as `batched`, for a share only."""
    share: float = 1.0
    """Of the answers that `sampled` keeps; errors and feedback are always kept."""
    quota_bytes: int = 20_000_000_000
    """What may lie in the capture folder; nothing new is kept while it is full."""
    patience: float = 0.25
    """Seconds that an answer waits for a slow disk before it is sent all the same."""
    queue_bytes: int = 64_000_000
    """What may wait for a slow disk; more is dropped and counted."""
    fsync_interval: float = 0.05
    rotate_seconds: float = 2.0
    rotate_bytes: int = 64_000_000


@dataclass(slots=True)
class _Segment:
    path: Path
    handle: int
    opened: float
    size: int = 0
    durable: int = 0
    """Bytes that are on the disk."""
    named: bool = False
    """Whether its name is on the disk."""
    images: dict[bytes, SampleId] = field(default_factory=dict)
    remembered: int = 0


class CaptureWriter:
    """Appends records to the open segment of this process; safe to use from several threads.

    When the disk is full, gone or read-only, `append` counts what it could not keep and returns:
    answers go on.
    """

    def __init__(
        self, folder: Path, policy: CapturePolicy | None = None, disk: Disk | None = None
    ) -> None:
        self._folder = folder
        self._policy = policy or CapturePolicy()
        self._disk = disk or Disk()
        self._lock = threading.Lock()
        self._segment: _Segment | None = None
        self._unsynced: list[Record] = []
        self._room = self._policy.quota_bytes
        self._closed = threading.Event()
        self.dropped = 0
        """Records that could not be kept."""
        self.bytes = 0
        """Bytes written."""
        self.complaint: str | None = None
        """Why the last record could not be kept; None when it was."""
        self._measure()
        self._ticker = threading.Thread(target=self._tick, name="capture", daemon=True)
        self._ticker.start()

    def append(self, record: Record) -> bool:
        """Keep a record as the policy says; False when it could not be kept."""
        with self._lock:
            kept = self._append(record)
            if kept and self._policy.mode == "sync":
                kept = self._sync()
            if not kept:
                self.dropped += count(record)
        return kept

    def _append(self, record: Record) -> bool:
        if self._room <= 0:
            self.complaint = f"the quota of {self._policy.quota_bytes} bytes is used up"
            return False
        try:
            segment = self._segment or self._open()
        except OSError as error:
            self.complaint = f"{self._folder} takes no new segment: {error}"
            return False
        fresh: dict[bytes, SampleId] = {}
        parts = encode(record, segment.images, fresh)
        try:
            self._disk.write(segment.handle, parts)
        except OSError as error:
            self.complaint = f"{segment.path.name} takes no more: {error}"
            self._abandon_half_record(segment)
            return False
        self.complaint = None
        size = sum(map(len, parts))
        segment.size += size
        self.bytes += size
        self._room -= size
        self._unsynced.append(record)
        for image, sample in fresh.items():
            if segment.remembered + len(image) <= _REMEMBERED:
                segment.images[image] = sample
                segment.remembered += len(image)
        return True

    def _open(self) -> _Segment:
        self._folder.mkdir(parents=True, exist_ok=True)
        # Time-ordered, and unlike any other process's.
        path = self._folder / f"{time.time_ns():020d}-{os.getpid()}{OPEN}"
        self._segment = _Segment(path, self._disk.create(path), time.monotonic())
        return self._segment

    def _abandon_half_record(self, segment: _Segment) -> None:
        """After a failed write the segment ends where its last whole record does."""
        try:
            os.truncate(segment.path, segment.size)
        except OSError:
            self._leave(segment)

    def _leave(self, segment: _Segment) -> None:
        # It stays an open segment without a writer: whoever collects will seal it.
        self._segment = None
        os.close(segment.handle)

    def seal(self) -> None:
        """Close the open segment, so that it can be collected; without records nothing happens."""
        with self._lock:
            self._seal()

    def _seal(self) -> None:
        segment = self._segment
        if segment is None or not self._sync() or self._segment is not segment:
            return
        self._segment = None
        try:
            segment.path.rename(segment.path.with_suffix(SEALED))
        except OSError as error:
            self.complaint = f"{segment.path.name} could not be sealed: {error}"
        os.close(segment.handle)

    def _tick(self) -> None:
        policy, measured = self._policy, time.monotonic()
        while not self._closed.wait(policy.fsync_interval):
            self._sync_beside()
            with self._lock:
                segment = self._segment
                if segment is not None:
                    age = time.monotonic() - segment.opened
                    if age >= policy.rotate_seconds or segment.size >= policy.rotate_bytes:
                        self._seal()
            if time.monotonic() - measured > 1:
                measured = time.monotonic()
                self._measure()

    def _sync_beside(self) -> None:
        """Have what was written so far on the disk, while more is being written."""
        with self._lock:
            segment, some = self._segment, len(self._unsynced)
            if segment is None or not some:
                return
            size = segment.size
            handle = os.dup(segment.handle)
        try:
            self._make_durable(segment, handle, size)
        except OSError as error:
            with self._lock:
                self._rescue(segment, error)
            return
        finally:
            os.close(handle)
        with self._lock:
            if self._segment is segment:
                del self._unsynced[:some]

    def _make_durable(self, segment: _Segment, handle: int, size: int) -> None:
        self._disk.sync(handle)
        if not segment.named:
            self._disk.sync_names(self._folder)
            segment.named = True
        segment.durable = size

    def _sync(self) -> bool:
        segment = self._segment
        if segment is None:
            return True
        try:
            self._make_durable(segment, segment.handle, segment.size)
        except OSError as error:
            self._rescue(segment, error)
            return False
        self._unsynced.clear()
        return True

    def _rescue(self, segment: _Segment, error: OSError) -> None:
        """After a failed sync the kernel may have forgotten what it took: write it once more."""
        if self._segment is not segment:
            return
        # Cut, so that what is written again is not there twice.
        with contextlib.suppress(OSError):
            os.truncate(segment.path, segment.durable)
        self._leave(segment)
        again, self._unsynced = self._unsynced, []
        lost = sum(count(record) for record in again if not self._append(record))
        self.dropped += lost
        self.complaint = f"{segment.path.name} could not be synced: {error}"

    def _measure(self) -> None:
        """How much room the quota leaves; other processes write into the folder too."""
        used = 0
        try:
            with os.scandir(self._folder) as found:
                for entry in found:
                    used += entry.stat().st_size
        except OSError:
            used = 0
        self._room = self._policy.quota_bytes - used

    def close(self) -> None:
        """Seal what is open; no record follows."""
        self._closed.set()
        self._ticker.join()
        self.seal()


def seal_leftovers(folder: Path) -> int:
    """Seal the segments whose process is gone, cut after their last whole record."""
    sealed = 0
    for path in sorted(folder.glob(f"*{OPEN}")):
        try:
            with path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file.truncate(whole_frames(file))
                os.fsync(file.fileno())
                path.rename(path.with_suffix(SEALED))
                sealed += 1
        except (BlockingIOError, FileNotFoundError):
            continue
    return sealed


def sealed_segments(folder: Path) -> list[Path]:
    """The segments that are ready to be collected, oldest first."""
    return sorted(folder.glob(f"*{SEALED}"))
