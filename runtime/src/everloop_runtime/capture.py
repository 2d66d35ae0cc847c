"""Answered requests, kept in durable segments until the loop moves them to the store.

A record is handed to the operating system before its answer is sent, so that a killed process
loses nothing it answered; it is on the disk at most `fsync_interval` later, which is what a power
cut may cost. A segment is one file of records; the process that writes it holds a lock on it, so
a segment left by a killed process can be told from a live one, and is sealed by whoever finds it.

A record is: magic `EVC1`, the sizes of header and image (two little-endian uint32), the CRC-32 of
both, the header (JSON), the image's original bytes. What became known of an answer later is a
record of the same form with the magic `EVF1` and no image.
"""

import fcntl
import json
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal, get_args

from everloop_runtime.errors import Refused
from everloop_runtime.ids import BundleId, Json, PredictionId, SampleId
from everloop_runtime.routes import Role

_ANSWER, _FEEDBACK = b"EVC1", b"EVF1"
_FRAME = struct.Struct("<4sIII")
_OPEN, _SEALED = ".open", ".sealed"


@dataclass(frozen=True, slots=True)
class Captured:
    """One request and what was answered."""

    prediction: PredictionId
    sample: SampleId
    bundle: BundleId
    role: Role
    key: str
    at: float
    """Seconds since 1970."""
    latency_ms: float
    status: Literal["ok", "error"]
    error: str | None = None
    label: str | None = None
    confidence: float | None = None
    probabilities: tuple[float, ...] = ()
    embedding: tuple[float, ...] = ()
    image: bytes = b""


FeedbackKind = Literal["label", "correction", "event"]
FEEDBACK_KINDS: tuple[str, ...] = get_args(FeedbackKind)


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """What became known of an answer afterwards; it may come late, twice and out of order."""

    prediction: PredictionId
    """As the client gave it: nobody has looked whether there is such an answer."""
    at: float
    """When the service took it, in seconds since 1970."""
    kind: FeedbackKind
    """The true `label`, a person's `correction` of the answer, or a business `event`."""
    value: Json
    """The label as text (see `everloop.labels`), or whatever the event carries."""
    by: str
    """The client whose API key brought it; empty where the service asks for no keys."""


def _encode(record: Captured | FeedbackRecord) -> bytes:
    if isinstance(record, FeedbackRecord):
        return _frame(_FEEDBACK, json.dumps(asdict(record)).encode(), b"")
    header = json.dumps(asdict(replace(record, image=b"")) | {"image": None}).encode()
    return _frame(_ANSWER, header, record.image)


def _frame(magic: bytes, header: bytes, image: bytes) -> bytes:
    check = zlib.crc32(image, zlib.crc32(header))
    return _FRAME.pack(magic, len(header), len(image), check) + header + image


def _decode(header: bytes, image: bytes) -> Captured:
    told = json.loads(header)
    told["image"] = image
    told["probabilities"] = tuple(told["probabilities"])
    told["embedding"] = tuple(told["embedding"])
    return Captured(**told)


def _write_whole(file: BinaryIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        # An unbuffered write may take less than it was given.
        left = left[file.write(left) :]


class CaptureWriter:
    """Appends records to the open segment of this process; safe to use from several threads.

    When the disk is full, gone or read-only, `append` counts what it could not keep and returns:
    answers go on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fsync_interval: float = 0.1,
        rotate_seconds: float = 2.0,
        rotate_bytes: int = 64_000_000,
    ) -> None:
        self._folder = folder
        self._fsync_interval = fsync_interval
        self._rotate_seconds = rotate_seconds
        self._rotate_bytes = rotate_bytes
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._path = folder
        self._opened = 0.0
        self._size = 0
        self._unsynced = False
        self._closed = threading.Event()
        self.dropped = 0
        """Records that could not be kept."""
        self._ticker = threading.Thread(target=self._tick, name="capture", daemon=True)
        self._ticker.start()

    def append(self, record: Captured | FeedbackRecord) -> bool:
        """Hand a record to the operating system; False when it could not be kept."""
        data = _encode(record)
        with self._lock:
            try:
                file = self._file or self._open()
                _write_whole(file, data)
            except OSError:
                self.dropped += 1
                self._abandon_half_record()
                return False
            self._size += len(data)
            self._unsynced = True
        return True

    def _open(self) -> BinaryIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        # Time-ordered, and unlike any other process's.
        self._path = self._folder / f"{time.time_ns():020d}-{os.getpid()}{_OPEN}"
        file = self._path.open("xb", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._file, self._opened, self._size = file, time.monotonic(), 0
        return file

    def _abandon_half_record(self) -> None:
        """After a failed write the segment ends where its last whole record does."""
        if self._file is None:
            return
        try:
            self._file.truncate(self._size)
            self._file.seek(self._size)
        except OSError:
            self._file = None

    def seal(self) -> None:
        """Close the open segment, so that it can be collected; without records nothing happens."""
        with self._lock:
            self._seal()

    def _seal(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            os.fsync(file.fileno())
            self._path.rename(self._path.with_suffix(_SEALED))
            file.close()
        except OSError:
            # It stays an open segment without a writer: whoever collects will seal it.
            file.close()
        self._unsynced = False

    def _tick(self) -> None:
        while not self._closed.wait(self._fsync_interval):
            with self._lock:
                if self._file is None:
                    continue
                if self._unsynced:
                    self._sync(self._file)
                age = time.monotonic() - self._opened
                if age >= self._rotate_seconds or self._size >= self._rotate_bytes:
                    self._seal()

    def _sync(self, file: BinaryIO) -> None:
        try:
            os.fsync(file.fileno())
        except OSError:
            # What the kernel may have lost is not kept silently in a segment that goes on.
            self._seal()
        self._unsynced = False

    def close(self) -> None:
        """Seal what is open; no record follows."""
        self._closed.set()
        self._ticker.join()
        self.seal()


def seal_leftovers(folder: Path) -> int:
    """Seal the segments whose process is gone, cut after their last whole record."""
    sealed = 0
    for path in sorted(folder.glob(f"*{_OPEN}")):
        try:
            with path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file.truncate(_whole_records(file))
                os.fsync(file.fileno())
                path.rename(path.with_suffix(_SEALED))
                sealed += 1
        except (BlockingIOError, FileNotFoundError):
            continue
    return sealed


def _whole_records(file: BinaryIO) -> int:
    end = 0
    size = os.fstat(file.fileno()).st_size
    while frame := file.read(_FRAME.size):
        if len(frame) < _FRAME.size:
            break
        magic, header, image, _ = _FRAME.unpack(frame)
        after = end + _FRAME.size + header + image
        if magic not in {_ANSWER, _FEEDBACK} or after > size:
            break
        file.seek(after)
        end = after
    return end


def sealed_segments(folder: Path) -> list[Path]:
    """The segments that are ready to be collected, oldest first."""
    return sorted(folder.glob(f"*{_SEALED}"))


def read_segment(path: Path) -> Iterator[Captured]:
    """The answers in a segment; a torn last record is left out.

    Raises `Refused` naming the offset when a record in the middle is not what was written.
    """
    for magic, header, image in _records(path):
        if magic == _ANSWER:
            yield _decode(header, image)


def read_feedback(path: Path) -> Iterator[FeedbackRecord]:
    """The feedback in a segment; as `read_segment` otherwise."""
    for magic, header, _ in _records(path):
        if magic == _FEEDBACK:
            yield FeedbackRecord(**json.loads(header))


def _records(path: Path) -> Iterator[tuple[bytes, bytes, bytes]]:
    size = path.stat().st_size
    with path.open("rb") as file:
        while True:
            at = file.tell()
            frame = file.read(_FRAME.size)
            if len(frame) < _FRAME.size:
                return
            magic, header_size, image_size, check = _FRAME.unpack(frame)
            if magic not in {_ANSWER, _FEEDBACK}:
                raise Refused(f"{path.name} is damaged at byte {at}: no record begins there")
            if file.tell() + header_size + image_size > size:
                return
            header, image = file.read(header_size), file.read(image_size)
            if zlib.crc32(image, zlib.crc32(header)) != check:
                raise Refused(f"{path.name} is damaged at byte {at}: the checksum differs")
            yield magic, header, image
