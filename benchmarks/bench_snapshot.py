"""A data set of 20,000 pictures of 8 KB: versioned, grown by 1,000, the old version opened again.

Beside it, in the same run, the least that versioning on the same store must do: raw Lance, with
the files read and hashed. Everloop also labels each sample, fixes its side and writes the
snapshot. When it takes a folder in it also decodes every picture to check it, which raw Lance
does not; that is told on a line of its own, beside Pillow decoding the same files.
"""

import hashlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import lance
import numpy as np
import pyarrow as pa
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.ingest import IngestRules, ingest
from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.data.take import Taken, take
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.ids import sample_id
from everloop_runtime.images import ImageLimits

FIRST, MORE, ROUNDS = 20_000, 1_000, 3
CLASSES = ("even", "odd")
PEER = ("DVC (measured before)", "5.8 to 8.4", "3.2 to 5.1", "3.1 to 8.9")
"""Seconds of the same three steps on a machine of two cores."""
ALLOWED = 2.0
"""Times raw Lance."""

_T = TypeVar("_T")
_SIDE, _QUALITY = 128, 80


def main() -> None:
    """Measure, and print the ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = _write_pictures(folder / "pictures")
        # Both find the files in the page cache.
        size = sum(len(path.read_bytes()) for path in files) / len(files)
        first, more = files[:FIRST], files[FIRST:]
        raw = _median([_raw_lance(folder / f"raw-{n}", first, more) for n in range(ROUNDS)])
        ours = _median([_everloop(folder / f"ours-{n}", first, more) for n in range(ROUNDS)])
        checked, _ = _timed(lambda: _take_in(folder / "checked", folder / "pictures"))
        decoded, _ = _timed(lambda: [Image.open(path).convert("RGB") for path in files])
    table = Table(title=f"{FIRST:,} pictures of {size / 1000:.1f} KB, median of {ROUNDS}")
    for column in ("seconds", "first", f"+{MORE:,}", "back to the old one"):
        table.add_column(column, justify="left" if column == "seconds" else "right")
    for told, row in (("Everloop", ours), ("raw Lance (this run)", raw)):
        table.add_row(told, *(f"{value:.4f}" for value in row))
    ratios = [one / two for one, two in zip(ours, raw, strict=True)]
    table.add_row("ratio", *(f"{ratio:.2f}" for ratio in ratios))
    table.add_row(*PEER)
    Console().print(table)
    sys.stdout.write(
        f"a folder taken in, every picture decoded: {checked:.1f} s; Pillow decoding the same "
        f"files: {decoded:.1f} s; ratio {checked / decoded:.2f}\n"
        f"within {ALLOWED:g} times raw Lance: {'yes' if max(ratios) <= ALLOWED else 'NO'}\n"
    )


def _write_pictures(folder: Path) -> list[Path]:
    generator = np.random.default_rng(0)
    files = []
    for number in track(range(FIRST + MORE), "making pictures", transient=True):
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
    assert found == FIRST
    return [one, two, back]


def _everloop(folder: Path, first: Sequence[Path], more: Sequence[Path]) -> list[float]:
    store = DataStore(folder)
    one, old = _timed(lambda: _version(store, first))
    two, new = _timed(lambda: _version(store, more))
    assert old.id != new.id
    back, rows = _timed(lambda: len(store.snapshots.open(old.id)))
    assert rows == FIRST
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
            yield NewSample(data, path.name, "bench", "bench", "JPEG", _SIDE, _SIDE)

    store.samples.add(samples(), now, split=SplitRule(0.2))
    store.annotations.append(labels)
    return take(store, classes=CLASSES, now=now)


def _take_in(store: Path, pictures: Path) -> None:
    ingest(
        DataStore(store),
        pictures,
        source="bench",
        rules=IngestRules(ImageClassification(CLASSES), ImageLimits(), SplitRule(0.2)),
        now=datetime.now(UTC),
    )


if __name__ == "__main__":
    main()
