"""How cost grows: a store of 1,000 to 1,000,000 small samples, and then 1,000 more.

Each size is a process of its own, so that its peak memory is its own. Told are the seconds of the
increment (bytes, facts and labels in), of its snapshot, of looking for what looks like the new ones
among all (the check for leaks; the looks are drawn at random), of the difference to the snapshot
before, and of opening that. An increment's cost must follow the increment: from the smallest store
to the largest it may not grow by more than the factor below while the store grows a thousand times.

    python benchmarks/bench_growth.py [largest]
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.checks.duplicates import CANDIDATES, LEAST_COSINE
from everloop.data.examined import SIGNATURE_LENGTH, THUMBNAIL_SIDE, Examined
from everloop.data.samples import NewSample
from everloop.data.snapshot_diff import diff
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.data.take import Taken, take
from everloop.ids import SampleId
from everloop_runtime.ids import sample_id

SIZES = (1_000, 10_000, 100_000, 1_000_000)
MORE, ROUNDS, AT_ONCE = 1_000, 5, 20_000
CLASSES = tuple(f"class {number}" for number in range(10))
ALLOWED = 10.0
STEPS = ("fill", "first snapshot", "+1,000", "snapshot", "alike", "diff", "open")

_T = TypeVar("_T")


def main() -> None:
    """Measure each size and print the table."""
    if len(sys.argv) == 3:
        sys.stdout.write(json.dumps(_measure(int(sys.argv[1]), Path(sys.argv[2]))))
        return
    largest = int(sys.argv[1]) if len(sys.argv) == 2 else SIZES[-1]
    table = Table(title=f"Seconds, and peak memory of the process; medians of {ROUNDS} increments")
    for column in ("samples", *STEPS, "peak MB", "of which fill"):
        table.add_column(column, justify="right")
    rows = []
    for size in (size for size in SIZES if size <= largest):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, __file__, str(size), folder], capture_output=True, check=True
            )
        row = json.loads(done.stdout)
        rows.append(row)
        memory = (f"{row['peak']:.0f}", f"{row['fill peak']:.0f}")
        table.add_row(f"{size:,}", *(f"{row[step]:.4f}" for step in STEPS), *memory)
    Console(width=110).print(table)
    worst = max(rows[-1][step] / rows[0][step] for step in STEPS[2:])
    grown = rows[-1]["samples"] / rows[0]["samples"]
    sys.stdout.write(
        f"the store grew {grown:,.0f} times, the dearest step of an increment {worst:.1f} times; "
        f"at most {ALLOWED:g}: {'yes' if worst <= ALLOWED else 'NO'}\n"
    )


def _measure(size: int, folder: Path) -> dict[str, float]:
    store = DataStore(folder)
    fill, _ = _timed(lambda: _grow(store, 0, size))
    for start in range(0, size, AT_ONCE):
        _examine(store, start, min(start + AT_ONCE, size))
    store.examinations.follow()
    first, last = _timed(lambda: _take(store))
    told = {"samples": size, "fill": fill, "first snapshot": first, "fill peak": _peak()}
    steps: dict[str, list[float]] = {step: [] for step in STEPS[2:]}
    for number in range(ROUNDS):
        start = size + number * MORE
        for step, seconds in zip(STEPS[2:], _increment(store, start, last), strict=True):
            steps[step].append(seconds)
        last = _take(store)
    medians = {step: sorted(values)[ROUNDS // 2] for step, values in steps.items()}
    return {**told, **medians, "peak": _peak()}


def _increment(store: DataStore, start: int, last: Taken) -> tuple[float, ...]:
    grown, _ = _timed(lambda: _grow(store, start, start + MORE))
    taken, new = _timed(lambda: _take(store))
    came = _examine(store, start, start + MORE)
    alike, _ = _timed(lambda: store.examinations.alike(came, LEAST_COSINE, CANDIDATES))
    told, change = _timed(lambda: diff(store.snapshots, last.id, new.id))
    assert len(change.added) == MORE
    opened, rows = _timed(lambda: len(store.snapshots.open(last.id)))
    assert rows == start
    return grown, taken, alike, told, opened


def _grow(store: DataStore, start: int, end: int) -> None:
    now = datetime.now(UTC)
    for first in range(start, end, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, end))
        data = {number: b"%032d" % number for number in numbers}
        store.samples.add(
            (NewSample(each, "", "bench", "bench") for each in data.values()),
            now,
            split=SplitRule(0.2),
        )
        store.annotations.append(
            [_label(each, CLASSES[number % 10], now) for number, each in data.items()]
        )


def _examine(store: DataStore, start: int, end: int) -> Sequence[SampleId]:
    """Looks as pictures of something would have them: the lowest frequencies say the most."""
    drawn = np.random.default_rng(start).normal(size=(end - start, SIGNATURE_LENGTH))
    drawn /= np.sqrt(1 + np.arange(SIGNATURE_LENGTH))
    looks = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float16)
    names = [sample_id(b"%032d" % number) for number in range(start, end)]
    plain = bytes(THUMBNAIL_SIDE**2)
    store.examinations.append(
        {
            name: Examined("JPEG", 96, 96, 1, 1, 0.0, 0.0, 0.0, 0.0, look.tobytes(), plain)
            for name, look in zip(names, looks, strict=True)
        }
    )
    return names


def _label(data: bytes, label: str, now: datetime) -> Annotation:
    sample = sample_id(data)
    name = annotation_id(sample, label, "import:bench", "bench")
    return Annotation(name, sample, label, "import:bench", "import", None, now, "bench")


def _take(store: DataStore) -> Taken:
    return take(store, classes=CLASSES, now=datetime.now(UTC), split=SplitRule(0.2))


def _timed(what: Callable[[], _T]) -> tuple[float, _T]:
    began = time.perf_counter()
    result = what()
    return time.perf_counter() - began, result


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
