"""Captured answers: whatever is cut, full or damaged, whole records are kept and told apart."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from everloop.ids import BundleId, PredictionId
from everloop_runtime.capture import (
    Captured,
    CapturePolicy,
    CaptureWriter,
    FeedbackRecord,
    read_feedback,
    read_segment,
    seal_leftovers,
    sealed_segments,
)
from everloop_runtime.errors import Refused
from everloop_runtime.ids import sample_id


def record(number: int, size: int = 20) -> Captured:
    image = bytes([number % 256]) * size
    return Captured(
        prediction=PredictionId(f"{number:032x}"),
        sample=sample_id(image),
        bundle=BundleId("b" * 64),
        role="champion",
        key="k",
        at=1.0,
        latency_ms=2.0,
        status="ok",
        label="7",
        confidence=0.5,
        probabilities=(0.5, 0.5),
        embedding=(1.0,),
        image=image,
    )


def _segment(folder: Path, count: int) -> Path:
    writer = CaptureWriter(folder)
    for number in range(count):
        assert writer.append(record(number))
    writer.close()
    return sealed_segments(folder)[-1]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    assert list(read_segment(_segment(tmp_path, 3))) == [record(n) for n in range(3)]


def test_feedback_lies_beside_the_answers_and_is_read_apart(tmp_path: Path) -> None:
    told = FeedbackRecord(PredictionId("0" * 32), 3.0, "event", {"bought": True}, "shop")
    writer = CaptureWriter(tmp_path)
    for given in (told, record(1), told):
        assert writer.append(given)
    writer.close()
    (path,) = sealed_segments(tmp_path)
    assert list(read_segment(path)) == [record(1)]
    assert list(read_feedback(path)) == [told, told]


def test_cut_anywhere_the_whole_records_before_are_kept(tmp_path: Path) -> None:
    data = _segment(tmp_path / "made", 3).read_bytes()
    folder = tmp_path / "cut"
    folder.mkdir()
    whole = len(data) // 3
    for end in range(len(data)):
        (folder / "1-1.open").write_bytes(data[:end])
        assert seal_leftovers(folder) == 1
        (path,) = sealed_segments(folder)
        assert list(read_segment(path)) == [record(n) for n in range(end // whole)]
        path.unlink()


def test_damage_in_the_middle_is_refused_with_its_place(tmp_path: Path) -> None:
    path = _segment(tmp_path, 3)
    data = bytearray(path.read_bytes())
    at = len(data) // 3 + 30
    data[at] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(Refused, match=rf"damaged at byte {len(data) // 3}"):
        list(read_segment(path))


def test_a_segment_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path)
    writer.append(record(1))
    script = (
        "import sys, pathlib; from everloop_runtime.capture import seal_leftovers;"
        "print(seal_leftovers(pathlib.Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=True
    )
    assert done.stdout.strip() == b"0"
    writer.append(record(2))
    writer.close()
    assert len(list(read_segment(sealed_segments(tmp_path)[0]))) == 2


def test_writers_at_once_interleave_whole_records(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path, CapturePolicy(rotate_bytes=20_000, fsync_interval=0.01))
    threads = [
        threading.Thread(
            target=lambda n=n: [writer.append(record(n * 1000 + i)) for i in range(200)]
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    read = [r.prediction for path in sealed_segments(tmp_path) for r in read_segment(path)]
    assert sorted(read) == sorted(
        record(n * 1000 + i).prediction for n in range(4) for i in range(200)
    )


def test_a_full_disk_costs_the_new_records_only(tmp_path: Path) -> None:
    # The limit on a file's size stands in for a full disk: a write fails half way.
    script = """
import resource, sys, pathlib
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
sys.path.insert(0, ".")
from runtime.tests.test_capture import record
from everloop_runtime.capture import CapturePolicy, CaptureWriter
writer = CaptureWriter(pathlib.Path(sys.argv[1]), CapturePolicy(rotate_seconds=1000))
kept = [writer.append(record(n, 900)) for n in range(5)]
writer.close()
print(sum(kept), writer.dropped)
"""
    # Without byte code: what the limit leaves of it would break the next run.
    command = [sys.executable, "-B", "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    kept, dropped = map(int, done.stdout.split())
    assert (kept, dropped) == (2, 3)
    (path,) = sealed_segments(tmp_path)
    assert list(read_segment(path)) == [record(n, 900) for n in range(2)]
