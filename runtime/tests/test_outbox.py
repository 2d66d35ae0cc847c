"""Captures when the disk is slow, full, gone or loses power: answers go on, nothing is hidden."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from everloop.ids import BundleId, PredictionId
from everloop_runtime.capture import (
    AnswerBatch,
    CapturePolicy,
    CaptureWriter,
    Disk,
    read_segment,
    seal_leftovers,
    sealed_segments,
)
from everloop_runtime.outbox import Outbox
from everloop_runtime.segments import FeedbackRecord, Row

IMAGES = [bytes([n]) * 100 for n in range(5)]


def batch(first: int, count: int = 4) -> AnswerBatch:
    """Answers about a few images that come again and again."""
    numbers = range(first, first + count)
    rows = [Row(PredictionId(f"{n:032x}"), None, "champion", "k", 1.0, 2.0, None, "7", 0.5)
            for n in numbers]  # fmt: skip
    values = np.full((count, 2), 0.5, np.float32)
    return AnswerBatch(BundleId("b" * 64), rows, [IMAGES[n % 5] for n in numbers], values, values)


def kept(folder: Path) -> list[str]:
    """The predictions in all segments, whoever sealed them; each with its right image."""
    seal_leftovers(folder)
    found: list[str] = []
    for path in sealed_segments(folder):
        for record in read_segment(path):
            assert record.image == IMAGES[int(record.prediction, 16) % 5]
            found.append(record.prediction)
    return found


def names(first: int, end: int) -> list[str]:
    return [f"{n:032x}" for n in range(first, end)]


class ForgetfulDisk(Disk):
    """Remembers what was synced; when the power goes, everything else is gone from the folder."""

    def __init__(self) -> None:
        self.synced: dict[Path, bytes] = {}
        self._paths: dict[int, Path] = {}
        self._named: set[Path] = set()
        self._lock = threading.Lock()

    def create(self, path: Path) -> int:
        handle = super().create(path)
        self._paths[os.fstat(handle).st_ino] = path
        return handle

    def sync(self, handle: int) -> None:
        found = os.fstat(handle)
        path = self._paths[found.st_ino]
        data = path.read_bytes()[: found.st_size]
        with self._lock:
            self.synced[path] = data

    def sync_names(self, folder: Path) -> None:
        with self._lock:
            self._named |= {path for path in self._paths.values() if path.parent == folder}

    def lose_power(self, into: Path) -> None:
        """What is found on the disk afterwards, in a folder of its own."""
        into.mkdir()
        with self._lock:
            for path, data in self.synced.items():
                if path in self._named:
                    (into / path.name).write_bytes(data)


def test_sync_loses_nothing_that_was_acknowledged_when_the_power_goes(tmp_path: Path) -> None:
    disk = ForgetfulDisk()
    writer = CaptureWriter(tmp_path / "c", CapturePolicy(mode="sync", rotate_bytes=2000), disk)
    for first in range(0, 40, 4):
        assert writer.append(batch(first))
        disk.lose_power(tmp_path / f"after-{first}")
        assert kept(tmp_path / f"after-{first}") == names(0, first + 4)
    writer.close()


def test_batched_loses_what_is_younger_than_its_bound_at_most(tmp_path: Path) -> None:
    disk = ForgetfulDisk()
    writer = CaptureWriter(tmp_path / "c", CapturePolicy(fsync_interval=0.02), disk)
    written: list[tuple[float, int]] = []
    for first in range(0, 200, 4):
        writer.append(batch(first))
        written.append((time.monotonic(), first + 4))
        time.sleep(0.003)
    cut = time.monotonic()
    disk.lose_power(tmp_path / "after")
    writer.close()
    found = kept(tmp_path / "after")
    # The bound of 100 ms, and as much again for a machine that has other things to do.
    safe = max((end for at, end in written if cut - at > 0.2), default=0)
    assert found == names(0, len(found))
    assert len(found) >= safe


def test_of_a_killed_process_every_record_is_there(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path, CapturePolicy(fsync_interval=1000))
    for first in range(0, 400, 4):
        writer.append(batch(first))
    # Not closed: as a process leaves it that is killed. Its lock is still held, so that the
    # bytes are looked at in a copy.
    (path,) = tmp_path.glob("*.open")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / path.name).write_bytes(path.read_bytes())
    assert kept(tmp_path / "copy") == names(0, 400)
    writer.close()


def test_an_image_that_comes_again_is_stored_once_in_a_segment(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path)
    for first in range(0, 400, 4):
        writer.append(batch(first))
    writer.close()
    (path,) = sealed_segments(tmp_path)
    data = path.read_bytes()
    assert [data.count(image) for image in IMAGES] == [1] * 5
    assert kept(tmp_path) == names(0, 400)


class FailingSync(ForgetfulDisk):
    """Syncs fail from the third on, as on a disk that is failing, until it is mended."""

    def __init__(self) -> None:
        super().__init__()
        self.syncs = 0
        self.mended = False

    def sync(self, handle: int) -> None:
        self.syncs += 1
        if self.syncs == 3 and not self.mended:
            raise OSError(5, "Input/output error")
        super().sync(handle)


def test_what_a_failed_sync_may_have_lost_is_written_once_more(tmp_path: Path) -> None:
    disk = FailingSync()
    writer = CaptureWriter(tmp_path / "c", CapturePolicy(fsync_interval=1000), disk)
    for first in range(0, 40, 4):
        writer.append(batch(first))
        writer._sync_beside()
    writer.close()
    disk.lose_power(tmp_path / "after")
    assert kept(tmp_path / "after") == names(0, 40)
    assert kept(tmp_path / "c") == names(0, 40)
    assert writer.dropped == 0


def test_a_full_quota_keeps_nothing_more_until_there_is_room(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path, CapturePolicy(quota_bytes=3000))
    results = [writer.append(batch(first)) for first in range(0, 400, 4)]
    assert results[0] and not results[-1]
    assert writer.dropped == 4 * results.count(False)
    assert "quota" in str(writer.complaint)
    writer.seal()
    for path in sealed_segments(tmp_path):
        path.unlink()
    writer._measure()
    assert writer.append(batch(0))
    writer.close()


class Hanging(Disk):
    """Writes wait until they are let go."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def write(self, handle: int, parts: Sequence[bytes]) -> None:
        self.gate.wait()
        super().write(handle, parts)


def _run(work: Callable[[], object]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


def test_a_disk_that_hangs_slows_an_answer_by_its_patience_and_drops_count(
    tmp_path: Path,
) -> None:
    async def work() -> None:
        disk = Hanging()
        policy = CapturePolicy(patience=0.05, queue_bytes=20_000)
        outbox = Outbox(tmp_path, policy, disk)
        told: list[int] = []
        for number in range(100):
            outbox.put(batch(number * 4), partial(told.append, number))
        end = time.monotonic() + 10
        while len(told) < 100 and time.monotonic() < end:
            await asyncio.sleep(0.01)
        assert sorted(told) == list(range(100))
        late = outbox.late
        assert late + outbox.overflowed // 4 == 100
        assert late > 0 and outbox.overflowed > 0
        disk.gate.set()
        await outbox.close()
        # What had found room was late, not lost.
        assert kept(tmp_path) == names(0, late * 4)

    _run(work)


def test_answers_are_told_in_order_once_they_are_with_the_system(tmp_path: Path) -> None:
    async def work() -> None:
        outbox = Outbox(tmp_path, CapturePolicy())
        told: list[int] = []
        for number in range(200):
            outbox.put(batch(number * 4), partial(told.append, number))
        record = FeedbackRecord(PredictionId("x"), 1.0, "event", None, "")
        outbox.put(record, lambda: told.append(200))
        await outbox.seal()
        assert told == list(range(201))
        assert kept(tmp_path) == names(0, 800)
        assert (outbox.dropped, outbox.late) == (0, 0)
        await outbox.close()

    _run(work)


def test_sampling_keeps_about_its_share(tmp_path: Path) -> None:
    async def work() -> None:
        outbox = Outbox(tmp_path, CapturePolicy(mode="sampled", share=0.25))
        wanted = sum(outbox.wants(n * 2**32 // 1000) for n in range(1000))
        assert wanted == 250
        assert outbox.skipped == 750
        await outbox.close()

    _run(work)


@pytest.mark.parametrize("wrong", ["file", "read-only"])
def test_a_folder_that_takes_nothing_is_named(tmp_path: Path, wrong: str) -> None:
    folder = tmp_path / "c"
    if wrong == "file":
        folder.write_text("in the way")
    else:
        folder = Path("/proc/everloop")
    writer = CaptureWriter(folder)
    assert not writer.append(batch(0))
    assert writer.dropped == 4
    assert "takes no new segment" in str(writer.complaint)
    writer.close()
