"""What monitoring costs: a drift report of large data beside Evidently's, and of live traffic.

    python benchmarks/bench_monitor_speed.py [--peer /path/to/python]

`--peer` is the interpreter of an environment with evidently in it (`pip install evidently
"pandas<3"`); without it only our own side is measured. Each side runs in a process of its own;
seconds are of the processor, memory is the largest the process had beyond the data itself.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 1_000_000, 20
VECTORS, WIDTH = 50_000, 512
SEGMENTS, OF_SEGMENT = 1000, 10_000
CLASSES = 10
RATE = 0.01


def table(seed: int, shift: float = 0.0) -> "NDArray[np.float32]":
    """Rows of columns of several shapes."""
    random = np.random.default_rng(seed)
    found = random.standard_normal((ROWS, COLUMNS), np.float32)
    found[:, 5:10] = np.exp(found[:, 5:10])
    found[:, 10:15] = random.integers(0, 1000, (ROWS, 5))
    found[:, 0] += np.float32(shift)
    return np.asfortranarray(found)


def vectors(seed: int, shift: float = 0.0) -> "NDArray[np.float32]":
    """Embeddings with a few strong directions."""
    random = np.random.default_rng(seed)
    mixed = np.random.default_rng(0).standard_normal((32, WIDTH), np.float32)
    hidden = random.standard_normal((VECTORS, 32), np.float32) + np.float32(shift)
    found: NDArray[np.float32] = np.dot(hidden, mixed) + random.standard_normal(
        (VECTORS, WIDTH), np.float32
    )
    return found


def peak() -> int:
    """Bytes, the most this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def timed(what: Callable[[], Any]) -> tuple[float, float, float, Any]:
    """Processor seconds, seconds, and how much the peak of memory grew, in MB."""
    before, began, wall = peak(), time.process_time(), time.perf_counter()
    found = what()
    spent = (time.process_time() - began, time.perf_counter() - wall)
    return (*spent, (peak() - before) / 1e6, found)


# Our own side.


def ours(what: str) -> dict[str, Any]:
    """One report, measured in this process."""
    from everloop.monitoring.drift import compare
    from everloop.monitoring.profile import Seen
    from everloop.monitoring.watch import Watch

    if what == "table":
        before, now = table(1), table(2, 0.01)
    else:
        before, now = vectors(1), vectors(2, 0.02)

    def seen(watch: Watch, data: "NDArray[np.float32]") -> Seen:
        if what == "embeddings":
            return watch.see(_answers(len(data)), data, {})
        columns = {f"column {n}": data[:, n] for n in range(COLUMNS)}
        return Seen({}, {}, columns, np.zeros((len(data), 8), np.float32))

    made = timed(lambda: _watch(what, before))
    watch = made[3]
    compare(watch, watch.sketch(seen(watch, now[:100])), RATE)
    told = timed(lambda: compare(watch, watch.sketch(seen(watch, now)), RATE))
    return {"cpu": told[0], "wall": told[1], "mb": told[2], "once": made[0],
            "found": f"p {told[3].p_value:.2g} {told[3].feature}"}  # fmt: skip


def _answers(count: int) -> "NDArray[np.float32]":
    random = np.random.default_rng(5)
    odds = random.dirichlet(np.full(CLASSES, 0.3), min(count, 1000)).astype(np.float32)
    return np.resize(odds, (count, CLASSES))


def _watch(what: str, before: "NDArray[np.float32]") -> Any:
    """The reference: of the whole earlier data, made once."""
    from everloop.monitoring.reference import Known, build_reference, read_reference
    from everloop.monitoring.watch import Watch
    from everloop.tasks.image_classification import ImageClassification

    task = ImageClassification([f"c{n}" for n in range(CLASSES)], (8, 8), 1)
    columns, embeddings = {}, before
    if what == "table":
        columns = {f"column {n}": before[:, n] for n in range(COLUMNS)}
        embeddings = np.random.default_rng(3).standard_normal((2000, 8)).astype(np.float32)
    values = _answers(len(embeddings))
    right = np.arange(len(values)) % 10 > 0
    known = Known(task, values, columns, columns, np.zeros(len(values), np.int64))
    return Watch(
        read_reference(build_reference(values, embeddings, right, embeddings, known)), task
    )


# The other side.

_PEER = """
import json, resource, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
what, first, second = sys.argv[1:4]
before, now = (pd.DataFrame(np.load(name)) for name in (first, second))
for frame in (before, now):
    frame.columns = [f"c{n}" for n in range(frame.shape[1])]
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
def told(run):
    at, cpu, wall = peak(), time.process_time(), time.perf_counter()
    found = run()
    print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall,
                      "mb": (peak() - at) / 1e6, "found": found}))
if what == "table":
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset
    def run():
        definition = DataDefinition(numerical_columns=list(before.columns))
        sides = [Dataset.from_pandas(f, data_definition=definition) for f in (now, before)]
        found = Report([DataDriftPreset()]).run(*sides).dict()
        return str(found["metrics"][0]["value"])[:60]
else:
    from evidently.legacy.metrics import EmbeddingsDriftMetric
    from evidently.legacy.pipeline.column_mapping import ColumnMapping
    from evidently.legacy.report import Report
    def run():
        mapping = ColumnMapping(embeddings={"all": list(before.columns)})
        report = Report(metrics=[EmbeddingsDriftMetric("all")])
        report.run(reference_data=before, current_data=now, column_mapping=mapping)
        found = report.as_dict()["metrics"][0]["result"]
        return str({name: found[name] for name in ("drift_score", "drift_detected")})[:60]
told(run)
"""


def peer(python: str, what: str, folder: Path) -> dict[str, Any]:
    """The same report by Evidently, as its own pages show it."""
    names = []
    for number, data in enumerate((table(1), table(2, 0.01)) if what == "table"
                                  else (vectors(1), vectors(2, 0.02))):  # fmt: skip
        names.append(folder / f"{what}{number}.npy")
        np.save(names[-1], data)
    done = subprocess.run([python, "-c", _PEER, what, *map(str, names)], check=True,
                          capture_output=True, text=True)  # fmt: skip
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


# Live traffic.


def live(folder: Path) -> None:
    """What a captured answer costs, and what a long period does."""
    from everloop.data.sketches import Sketches
    from everloop.loop.watching import merge_sketches, sketch_of
    from everloop.monitoring.period import Limits, findings_of, weigh
    from everloop.monitoring.sketch import Sketch, merged
    from everloop_runtime.ids import BundleId

    watch, bundle = _watch("embeddings", vectors(1)[:5000]), BundleId("b" * 64)
    sketches, records = Sketches(folder), _records(bundle)
    of = SimpleNamespace(watch=watch, spec=_spec())
    sketch_of(cast("Any", of), records, 64)
    cost, _, _, sketch = timed(lambda: sketch_of(cast("Any", of), records, 64))
    stored = timed(lambda: sketches.add(bundle, "first", sketch.packed(), answers=OF_SEGMENT,
                                        first=_START, last=_START))  # fmt: skip
    each = (cost + stored[0]) / OF_SEGMENT * 1e6
    print(f"a captured answer ({CLASSES} classes, {WIDTH} of embedding, segments of "
          f"{OF_SEGMENT:,}, 64 pictures of each read): {each:.1f} us; aim 20")  # fmt: skip
    packed = sketch.packed()
    for number in range(SEGMENTS - 1):
        at = _START + timedelta(seconds=20 * (number + 1))
        sketches.add(bundle, str(number), packed, answers=OF_SEGMENT, first=at, last=at)
    now = _START + timedelta(seconds=20 * SEGMENTS)

    limits = Limits(RATE, 0.05)
    loaded, _, _, _ = timed(lambda: findings_of(weigh(watch, sketch, limits), limits))
    print(f"the libraries of statistics, loaded once in a process: {loaded:.2f} CPU s")

    def asked() -> Any:
        found = sketches.period(bundle, _START - timedelta(days=1), now)
        whole = merged([Sketch.unpacked(part) for part in found.sketches])
        findings_of(weigh(watch, whole, limits), limits)
        return found

    for how in ("as they came", "with the hours that are over rolled"):
        cpu, wall, _, found = timed(asked)
        print(f"a period of {found.answers:,} answers, {len(found.sketches)} sketches {how}: "
              f"{wall:.2f} s, {cpu:.2f} of the processor; aim 1")  # fmt: skip
        sketches.roll(bundle, merge_sketches, now)


_START = datetime(2026, 5, 1, tzinfo=UTC)


def _records(bundle: Any) -> Any:
    import io

    from PIL import Image

    from everloop_runtime.capture import Captured

    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)).save(
        out, "PNG"
    )
    values, embeddings = _answers(OF_SEGMENT), vectors(7)[:OF_SEGMENT]
    return [
        Captured(prediction=cast("Any", str(n)), sample=cast("Any", str(n)), bundle=bundle,
                 role="champion", key="", at=float(n), latency_ms=1.0, status="ok",
                 probabilities=tuple(values[n].tolist()), embedding=tuple(embeddings[n].tolist()),
                 image=out.getvalue())
        for n in range(OF_SEGMENT)
    ]  # fmt: skip


def _spec() -> Any:
    from everloop_runtime.images import ImageSpec

    return ImageSpec(64, 64, 1)


def main() -> None:
    """Measure, and print the table and the ratios."""
    options = argparse.ArgumentParser()
    options.add_argument("--peer", help="an interpreter that has evidently")
    options.add_argument("--ours", choices=("table", "embeddings"), help=argparse.SUPPRESS)
    told = options.parse_args()
    if told.ours:
        print(json.dumps(ours(told.ours)))
        return
    sizes = {"table": f"{ROWS:,} x {COLUMNS}", "embeddings": f"{VECTORS:,} x {WIDTH}"}
    print(f"{'report':<28}{'by':<12}{'CPU s':>8}{'s':>8}{'MB more':>9}  found")
    with tempfile.TemporaryDirectory() as folder:
        for what, size in sizes.items():
            command = [sys.executable, __file__, "--ours", what]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            mine = json.loads(done.stdout.splitlines()[-1])
            sides = {"everloop": mine}
            if told.peer:
                sides["evidently"] = peer(told.peer, what, Path(folder))
            for name, figures in sides.items():
                print(f"{what + ', ' + size:<28}{name:<12}{figures['cpu']:>8.2f}"
                      f"{figures['wall']:>8.2f}{figures['mb']:>9.0f}  "
                      f"{figures['found']}")  # fmt: skip
            print(f"{'':<28}the reference, made once in training: {mine['once']:.2f} CPU s")
            if other := sides.get("evidently"):
                print(f"{'':<28}ratio: {other['cpu'] / mine['cpu']:.0f}x of the processor, "
                      f"{other['wall'] / mine['wall']:.0f}x of the time, {other['mb']:.0f} MB "
                      f"of memory beside {mine['mb']:.0f}")  # fmt: skip
        live(Path(folder) / "live")


if __name__ == "__main__":
    main()
