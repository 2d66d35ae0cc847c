"""A data set of 20,000 pictures of 8 KB: versioned, grown by 1,000, the old version opened again.

Beside it, in the same run: DVC, a Hugging Face `datasets` directory, plain Parquet with hashes, and
the least that versioning on the same store must do: raw Lance, with the files read and hashed.
Everloop also labels each sample, fixes its side and writes the snapshot. Then reads: 256 rows at
random and everything, against raw Lance and the file system.

    python benchmarks/bench_snapshot.py [pictures] [--no-peers]
"""

import hashlib
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CalledProcessError
from typing import TypeVar

import lance
import numpy as np
import pyarrow as pa
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table
from version_peers import dvc, hugging_face, parquet, peer_python

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.reading import SnapshotReader
from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.data.take import Taken, take
from everloop_runtime.ids import sample_id

FIRST, MORE, ROUNDS = 20_000, 1_000, 3
CLASSES = ("even", "odd")
WITHIN = 2.0
"""Times raw Lance, at most."""
FASTER = (4.0, 20.0, 500.0)
"""Than DVC, at least: the first version, the increment, going back."""
READS = 0.8
"""Of raw Lance, at least."""
_AT_RANDOM, _TIMES = 256, 40

_T = TypeVar("_T")
_SIDE, _QUALITY = 128, 80


def main() -> None:
    """Measure, and print the ratios."""
    words = [word for word in sys.argv[1:] if word != "--no-peers"]
    count = int(words[0]) if words else FIRST
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = _write_pictures(folder / "pictures", count + MORE)
        # All find the files in the page cache.
        size = sum(len(path.read_bytes()) for path in files) / len(files)
        first, more = files[:count], files[count:]
        measured = {"Everloop": _everloop, "raw Lance": _raw_lance, "Parquet": parquet}
        rows: dict[str, list[list[float]]] = {name: [] for name in measured}
        # In turns, each when the disk has what the one before wrote: none pays for another.
        for number in range(ROUNDS):
            for name, measure in measured.items():
                os.sync()
                rows[name].append(measure(folder / f"{name}-{number}", first, more))
        _print_reads(folder, files)
        python = None if "--no-peers" in sys.argv else peer_python()
        for name, peer in {"datasets": hugging_face, "DVC": dvc}.items():
            try:
                if python is not None:
                    os.sync()
                    rows[name] = [peer(python, folder / name, first, more)]
            except CalledProcessError as error:
                sys.stdout.write(f"{name} failed: {error}: {str(error.stderr)[-500:]}\n")
        _print_versions(rows, f"{count:,} pictures of {size / 1000:.1f} KB")


def _print_versions(rows: dict[str, list[list[float]]], title: str) -> None:
    table = Table(title=f"Seconds: {title}")
    for column in ("", "first", f"+{MORE:,}", "back to the old one"):
        table.add_column(column, justify="right" if column else "left")
    medians = {name: _median(rounds) for name, rounds in rows.items()}
    ours = medians["Everloop"]
    for name, row in medians.items():
        table.add_row(name, *(f"{value:.4f}" for value in row))
    for name, row in list(medians.items())[1:]:
        ratios = [other / one for one, other in zip(ours, row, strict=True)]
        table.add_row(f"{name} / Everloop", *(f"{ratio:.2f}" for ratio in ratios))
    Console().print(table)
    worst = max(one / raw for one, raw in zip(ours, medians["raw Lance"], strict=True))
    told = [f"within {WITHIN:g} times raw Lance: {_yes(worst <= WITHIN)}"]
    if "DVC" in medians:
        faster = [peer / one for one, peer in zip(ours, medians["DVC"], strict=True)]
        enough = all(is_ >= wanted for is_, wanted in zip(faster, FASTER, strict=True))
        told.append(f"at least {FASTER} times faster than DVC: {_yes(enough)}")
    sys.stdout.write("\n".join(told) + "\n")


def _print_reads(folder: Path, files: Sequence[Path]) -> None:
    """Images a second, as bytes: 256 at random, and everything."""
    store = folder / "Everloop-0"
    reader = SnapshotReader.of(store, DataStore(store).snapshots.list()[-1].id, None)
    table = lance.dataset(str(folder / "raw Lance-0"))
    numbers = np.random.default_rng(0).integers(0, len(files), (_TIMES, _AT_RANDOM)).tolist()
    at_random: dict[str, Callable[[list[int]], object]] = {
        "Everloop": reader.read,
        "raw Lance": lambda rows: table.take(rows, columns=["data"]).column("data").to_pylist(),
        "file system": lambda rows: [files[row].read_bytes() for row in rows],
    }
    whole: dict[str, Callable[[], int]] = {
        "Everloop": lambda: sum(len(batch) for batch in reader.batches(2048, "stored")),
        "raw Lance": lambda: sum(
            len(batch.column("data").to_pylist()) for batch in table.to_batches(columns=["data"])
        ),
        "file system": lambda: len([path.read_bytes() for path in files]),
    }
    shown = Table(title="Pictures a second, read")
    for column in ("", f"{_AT_RANDOM} at random", "everything"):
        shown.add_column(column, justify="right" if column else "left")
    speeds = {}
    for name, read in at_random.items():
        read(numbers[0])
        seconds = statistics.median(_timed(lambda r=rows, f=read: f(r))[0] for rows in numbers)  # type: ignore[misc]
        scan = statistics.median(_timed(whole[name])[0] for _ in range(ROUNDS))
        speeds[name] = (_AT_RANDOM / seconds, len(files) / scan)
        shown.add_row(name, *(f"{value:,.0f}" for value in speeds[name]))
    Console().print(shown)
    shares = [o / r for o, r in zip(speeds["Everloop"], speeds["raw Lance"], strict=True)]
    told = " and ".join(f"{share:.0%}" for share in shares)
    sys.stdout.write(f"{told} of raw Lance; at least {READS:.0%}: {_yes(min(shares) >= READS)}\n")


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "NO"


def _write_pictures(folder: Path, count: int) -> list[Path]:
    generator = np.random.default_rng(0)
    files = []
    for number in track(range(count), "making pictures", transient=True):
        coarse = generator.integers(0, 256, (_SIDE // 2, _SIDE // 2, 3), np.uint8)
        picture = Image.fromarray(coarse).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=_QUALITY)
        path = folder / CLASSES[number % 2] / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.getvalue())
        files.append(path)
    return files


def _median(rounds: list[list[float]]) -> list[float]:
    return [statistics.median(values) for values in zip(*rounds, strict=True)]


def _timed(what: Callable[[], _T]) -> tuple[float, _T]:
    began = time.perf_counter()
    result = what()
    return time.perf_counter() - began, result


def _raw_lance(folder: Path, first: Sequence[Path], more: Sequence[Path]) -> list[float]:
    def write(files: Sequence[Path], mode: str) -> int:
        data = [path.read_bytes() for path in files]
        names = [hashlib.sha256(each).hexdigest() for each in data]
        rows = pa.table({"id": names, "data": pa.array(data, pa.large_binary())})
        return int(lance.write_dataset(rows, str(folder), mode=mode).version)

    one, version = _timed(lambda: write(first, "create"))
    two, _ = _timed(lambda: write(more, "append"))
    back, found = _timed(lambda: lance.dataset(str(folder), version=version).count_rows())
    assert found == len(first)
    return [one, two, back]


def _everloop(folder: Path, first: Sequence[Path], more: Sequence[Path]) -> list[float]:
    store = DataStore(folder)
    one, old = _timed(lambda: _version(store, first))
    two, new = _timed(lambda: _version(store, more))
    assert old.id != new.id
    back, rows = _timed(lambda: len(store.snapshots.open(old.id)))
    assert rows == len(first)
    return [one, two, back]


def _version(store: DataStore, files: Sequence[Path]) -> Taken:
    """The files are in, labelled by their folders, and a snapshot pins all there is."""
    now = datetime.now(UTC)
    labels: list[Annotation] = []

    def samples() -> Iterator[NewSample]:
        for path in files:
            data = path.read_bytes()
            name, label = sample_id(data), path.parent.name
            labels.append(
                Annotation(
                    annotation_id(name, label, "import:bench", "bench"),
                    name, label, "import:bench", "import", None, now, "bench",
                )
            )  # fmt: skip
            yield NewSample(data, path.name, "bench", "bench", "JPEG", _SIDE, _SIDE, id=name)

    store.samples.add(samples(), now, split=SplitRule(0.2))
    store.annotations.append(labels)
    return take(store, classes=CLASSES, now=now)


if __name__ == "__main__":
    main()
