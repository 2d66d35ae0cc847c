"""Import with every check, in images a second, against the machine's own decode limit.

The limit, measured in the same run: all cores busy decoding the same files to RGB, in memory,
with the fastest decoder that may be used (simplejpeg for JPEG, Pillow for PNG), and nothing else
done. The import reads the files, hashes, examines and stores them, fixes their sides and labels
them; from process start to the last commit. Beside the rates: the processor time of one picture,
of all processes together, which says the same on a busy machine.
"""

import io
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image
from rich.console import Console
from rich.table import Table

from everloop.data.ingest import IngestRules, ingest
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.images import ImageLimits

AIM = 0.7
"""Of the decode limit."""
ROUNDS = 3
KINDS = {
    "photographs, JPEG 1280 x 960": (600, (1280, 960), "JPEG"),
    "8 KB JPEG, 128 x 128": (12_000, (128, 128), "JPEG"),
    "8 KB PNG, 56 x 56": (12_000, (56, 56), "PNG"),
}
_DIFFERENT = 30


def main() -> None:
    """Measure each kind, and print the ratios."""
    cores = len(os.sched_getaffinity(0))
    table = Table(title=f"images a second, {cores} cores, best of {ROUNDS}")
    for column in ("files", "KB each", "decode limit", "import with checks", "ratio",
                   "CPU us: decoding", "import", "own"):  # fmt: skip
        table.add_column(column, justify="left" if column == "files" else "right")
    worst = 1.0
    for told, (count, size, kind) in KINDS.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = _write(folder / "in", count, size, kind)
            data = [path.read_bytes() for path in files]
            limit = max(_decode(data, cores) for _ in range(ROUNDS))
            imports = [_import(folder, number, count) for number in range(ROUNDS)]
            alone = min(_decoding_cpu(data) for _ in range(ROUNDS))
        taken, spent = max(rate for rate, _ in imports), min(cpu for _, cpu in imports)
        worst = min(worst, taken / limit)
        each = sum(map(len, data)) / count / 1000
        rates = f"{each:.1f}", f"{limit:,.0f}", f"{taken:,.0f}", f"{taken / limit:.2f}"
        table.add_row(told, *rates, *(f"{us:,.0f}" for us in (alone, spent, spent - alone)))
    Console().print(table)
    sys.stdout.write(f"at least {AIM:.0%} of the limit: {'yes' if worst >= AIM else 'NO'}\n")


def _write(folder: Path, count: int, size: tuple[int, int], kind: str) -> list[Path]:
    """Pictures of shade, shapes and grain; each file differs from every other in its bytes."""
    generator = np.random.default_rng(0)
    wide, high = size
    files, bodies = [], [_picture(generator, wide, high, kind) for _ in range(_DIFFERENT)]
    for number in range(count):
        path = folder / ("even", "odd")[number % 2] / f"{number:06}.{kind.lower()}"
        path.parent.mkdir(parents=True, exist_ok=True)
        # A few bytes after the end of the picture, which every decoder passes over.
        path.write_bytes(bodies[number % _DIFFERENT] + number.to_bytes(4, "little"))
        files.append(path)
    return files


def _picture(generator: np.random.Generator, wide: int, high: int, kind: str) -> bytes:
    coarse = generator.integers(20, 236, (max(high // 24, 4), max(wide // 24, 4), 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((wide, high), Image.Resampling.BICUBIC)
    grain = generator.normal(0, 9, (high, wide, 1)) + generator.normal(0, 4, (high, wide, 3))
    pixels = np.clip(np.asarray(smooth, np.float32) + grain, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **({"quality": 85} if kind == "JPEG" else {}))
    return out.getvalue()


def _decode(data: Sequence[bytes], cores: int) -> float:
    """Images a second with all cores decoding and nothing else."""
    context = multiprocessing.get_context("spawn")
    ready, go = context.Barrier(cores + 1), context.Barrier(cores + 1)
    parts = [data[core::cores] for core in range(cores)]
    workers = [context.Process(target=_decode_part, args=(part, ready, go)) for part in parts]
    for worker in workers:
        worker.start()
    ready.wait()
    began = time.perf_counter()
    go.wait()
    for worker in workers:
        worker.join()
    return len(data) / (time.perf_counter() - began)


def _decode_part(data: Sequence[bytes], ready: object, go: object) -> None:
    ready.wait()  # type: ignore[attr-defined]
    go.wait()  # type: ignore[attr-defined]
    _decode_all(data)


def _decoding_cpu(data: Sequence[bytes]) -> float:
    """Microseconds of one processor that decoding a picture takes."""
    began = time.process_time()
    _decode_all(data)
    return (time.process_time() - began) / len(data) * 1e6


def _decode_all(data: Sequence[bytes]) -> None:
    for picture in data:
        if picture[:2] == b"\xff\xd8":
            simplejpeg.decode_jpeg(picture, "RGB")
        else:
            Image.open(io.BytesIO(picture)).convert("RGB")


def _cpu() -> float:
    """Seconds of processor time of this process and of all its children that have ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def _import(folder: Path, number: int, count: int) -> tuple[float, float]:
    """Pictures a second, and microseconds of processor time each, all processes together."""
    task = ImageClassification(("even", "odd"), (32, 32), 3)
    rules = IngestRules(task, ImageLimits(), SplitRule(0.2))
    store = DataStore(folder / f"store-{number}")
    began, before = time.perf_counter(), _cpu()
    report = ingest(store, folder / "in", source="bench", rules=rules, now=datetime.now(UTC))
    spent = time.perf_counter() - began
    assert report.added == count, report
    return count / spent, (_cpu() - before) / count * 1e6


if __name__ == "__main__":
    main()
