"""What the templates reach on real data: learnt, made a bundle, and the bundle measured.

    python benchmarks/bench_tasks.py digits|classes|groceries|bike|bccd [--data FOLDER] [...]

Prints each metric, what it is held to, and the core-seconds that learning took. With `--epochs 3 5
10 20 --plot curve.png` it learns as often, each time from nothing, and draws what epochs bring.
"""

import argparse
import csv
import gzip
import io
import json
import os
import resource
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from defusedxml import ElementTree

from everloop.data.training_data import SnapshotSide
from everloop.evaluation.evaluate import Evaluation, evaluate
from everloop.ids import SampleId, SnapshotId
from everloop.labels import Box, BoxesLabel, ValueLabel, encode
from everloop.loop.jobs.bundling import GOLDEN, Learnt, bundle_of
from everloop.policy_file import parse_policy
from everloop.tasks.task import Learnable, learnable
from everloop.training.attempt import Attempt, run_training
from everloop.training.project_code import load_product
from everloop_runtime.bundle import open_bundle
from everloop_runtime.ids import digest_bytes
from everloop_runtime.model import Model
from everloop_runtime.rows import canonical_row
from everloop_runtime.samples import to_input

DATA = Path(__file__).parents[2] / "shared" / "data"
TEMPLATES = Path(__file__).parents[1] / "src" / "everloop" / "templates"
_DRAWS = 12
Samples = Sequence[tuple[bytes, str]]
Measured = tuple[Evaluation, float]
"""The bundle's evaluation, and the core-seconds of training."""


def main() -> None:
    """Run one of them and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    # As in a job, so that core-seconds are not spent waiting.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    known = {each.__name__: each for each in (digits, classes, groceries, bike, bccd)}
    parser.add_argument("what", choices=known)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, nargs="+", default=[], metavar="N")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=FIGURE")
    options = parser.parse_args()
    params = {name: float(v) for name, v in (text.split("=") for text in options.set)}
    if not options.epochs:
        known[options.what](options, params)
        return
    points = []
    for epochs in options.epochs:
        evaluation, spent = known[options.what](options, params | {"epochs": epochs})
        points.append((epochs, evaluation, spent))
    if options.plot:
        draw(options.plot, points)


def digits(options: argparse.Namespace, params: Mapping[str, float]) -> Measured:
    """Retrieval on scikit-learn's digits: every fifth is a query, the others are the index."""
    task = 'ImageRetrieval(classes="0123456789", size=(16, 16), channels=1)'
    measured = learn("image-retrieval", task, *_digits(), params, options.threads)
    return tell(measured, {"recall_at_1": 0.97})


def classes(options: argparse.Namespace, params: Mapping[str, float]) -> Measured:
    """Classification of scikit-learn's digits: every fifth is held out, the others are learnt."""
    task = 'ImageClassification(classes="0123456789", size=(20, 20), channels=1)'
    measured = learn("image-classification", task, *_digits(), params, options.threads)
    return tell(measured, {"accuracy": 0.985})


def _digits() -> tuple[Samples, Samples]:
    """Four of five, and the fifth."""
    from PIL import Image
    from sklearn.datasets import load_digits

    found: list[tuple[bytes, str]] = []
    for pixels, label in zip(*load_digits(return_X_y=True), strict=True):
        out = io.BytesIO()
        Image.fromarray((pixels.reshape(8, 8) * 15.9).astype(np.uint8)).save(out, "PNG")
        found.append((out.getvalue(), str(label)))
    held = [sample for n, sample in enumerate(found) if n % 5 == 0]
    return [sample for n, sample in enumerate(found) if n % 5], held


def groceries(options: argparse.Namespace, params: Mapping[str, float]) -> Measured:
    """Retrieval on the grocery photographs: queries are the test side, the index the other."""
    folder = options.data / "groceries"
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["fine_label"] for row in rows})
    sides: dict[str, list[tuple[bytes, str]]] = {"train": [], "test": []}
    for row in rows:
        path = next(value for value in row.values() if value.endswith(".jpg"))
        place = folder / path if (folder / path).is_file() else folder / "images" / path
        sides[row["split"]].append((place.read_bytes(), row["fine_label"]))
    size = int(params.get("size", 64))
    task = f"ImageRetrieval(classes={names!r}, size=({size}, {size}), channels=3)"
    params = {name: value for name, value in params.items() if name != "size"}
    measured = learn(
        "image-retrieval", task, sides["train"], sides["test"], params, options.threads
    )
    print("a colour histogram gets recall_at_1 0.29 and recall_at_5 0.57")
    return tell(measured, {"recall_at_1": 0.29, "recall_at_5": 0.57})


def bike(options: argparse.Namespace, params: Mapping[str, float]) -> Measured:
    """Hourly bicycle hire: the last fifth of the hours is the hold-out, beside a tuned model."""
    place = options.data / "bike_sharing"
    text = gzip.decompress((place / "hour.csv.gz").read_bytes()).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    found = [(canonical_row(_figures(row)), encode(ValueLabel(float(row["cnt"])))) for row in rows]
    split = len(found) * 4 // 5
    measured = learn("tabular", None, found[:split], found[split:], params, options.threads)
    tell(measured, {})
    beside = _tuned(rows[:split], rows[split:])
    print(f"beside it, gradient boosting, the best of {_DRAWS} drawn settings: MAE {beside:.2f}")
    return measured


def bccd(options: argparse.Namespace, params: Mapping[str, float]) -> Measured:
    """Blood cells: learnt from `trainval`, measured on `test`; two boxes of no size left out."""
    folder = options.data / "bccd"
    task = 'ObjectDetection(classes=["RBC", "WBC", "Platelets"], size=(256, 320), channels=3)'
    data, held = _cells(folder, "trainval"), _cells(folder, "test")
    measured = learn("object-detection", task, data, held, params, options.threads)
    return tell(measured, {"map_50": 0.7})


def _cells(folder: Path, split: str) -> Samples:
    names = (folder / "ImageSets" / "Main" / f"{split}.txt").read_text().split()
    return [_cell(folder, name) for name in names]


def _cell(folder: Path, name: str) -> tuple[bytes, str]:
    document = ElementTree.parse(folder / "Annotations" / f"{name}.xml").getroot()
    assert document is not None
    size = [float(document.findtext(f"size/{side}", "")) for side in ("width", "height")] * 2
    boxes = []
    for thing in document.iter("object"):
        edges = (thing.findtext(f"bndbox/{edge}", "") for edge in ("xmin", "ymin", "xmax", "ymax"))
        left, top, right, bottom = (float(e) / of for e, of in zip(edges, size, strict=True))
        if right > left and bottom > top:
            boxes.append(Box(thing.findtext("name", ""), left, top, right, bottom))
    return (folder / "JPEGImages" / f"{name}.jpg").read_bytes(), encode(BoxesLabel(tuple(boxes)))


def _figures(row: Mapping[str, str]) -> dict[str, Any]:
    return {name: text if name == "dteday" else float(text) for name, text in row.items()}


def _tuned(before: Sequence[Mapping[str, str]], after: Sequence[Mapping[str, str]]) -> float:
    """LightGBM's mean absolute error, its settings held to the last fifth of training."""
    from lightgbm import LGBMRegressor

    columns = ("season", "mnth", "hr", "holiday", "weekday", "workingday", "weathersit", "temp",
               "atemp", "hum", "windspeed", "yr")  # fmt: skip
    learnt = np.array([[float(row[c]) for c in columns] for row in before])
    asked = np.array([[float(row[c]) for c in columns] for row in after])
    targets = np.array([float(row["cnt"]) for row in before])
    truth = np.array([float(row["cnt"]) for row in after])
    inner, generator = len(before) * 4 // 5, np.random.default_rng(0)
    best: tuple[float, dict[str, Any]] = (np.inf, {})
    for _ in range(_DRAWS):
        settings: dict[str, Any] = {
            "n_estimators": int(generator.integers(100, 400)),
            "learning_rate": float(10 ** generator.uniform(-1.7, -0.7)),
            "num_leaves": int(generator.integers(15, 127)),
            "min_child_samples": int(generator.integers(5, 60)),
            "reg_lambda": float(10 ** generator.uniform(-2, 1)),
            "objective": str(generator.choice(["regression", "poisson"])),
        }
        model = LGBMRegressor(**settings, verbose=-1, n_jobs=1).fit(learnt[:inner], targets[:inner])
        off = float(np.abs(model.predict(learnt[inner:]) - targets[inner:]).mean())
        best = min(best, (off, settings), key=lambda pair: pair[0])
    model = LGBMRegressor(**best[1], verbose=-1, n_jobs=1).fit(learnt, targets)
    return float(np.abs(model.predict(asked) - truth).mean())


def learn(
    template: str,
    task: str | None,
    data: Samples,
    held: Samples,
    params: Mapping[str, float],
    threads: int,
) -> Measured:
    """The bundle's evaluation on `held`, and core-seconds; `task` stands in for the template's."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        shutil.copytree(TEMPLATES / template, folder)
        code = (folder / "product.py").read_text()
        if task is not None:
            start = code.index("task=") + len("task=")
            code = code[:start] + task + code[code.index("\n)", start) :]
            (folder / "product.py").write_text(code)
        product = load_product(folder)
        learnt_of = learnable(product.task)  # type: ignore[arg-type]
        settings = {**parse_policy((folder / "everloop.toml").read_text()).train.params, **params}
        one, other = side(learnt_of, data, data), side(learnt_of, held, data)
        began = _seconds()
        attempt = Attempt(Path(scratch), seed=0)
        model = run_training(product, one, settings, attempt, threads=threads, project=folder)
        spent = _seconds() - began
        golden = [bytes_ for bytes_, _ in held[:GOLDEN]]
        snapshot = SnapshotId("0" * 64)
        whole = Learnt("bench", learnt_of, snapshot, one, other, golden, {})
        name = bundle_of(Path(scratch) / "bundles", model, whole)
        opened = open_bundle(Path(scratch) / "bundles" / name, name)
        print(f"params {json.dumps(settings)}; model.onnx {len(opened.read('model.onnx'))} bytes")
        return evaluate(Model.load(opened), snapshot, other, learnt_of), spent


def side(task: Learnable, samples: Samples, learnt: Samples) -> SnapshotSide:
    """Samples as one side of a snapshot."""
    spec = task.input_of(lambda: [data for data, _ in learnt])
    texts = tuple(label for _, label in samples)
    return SnapshotSide(
        task.classes,
        tuple(SampleId(digest_bytes(data)) for data, _ in samples),
        ("labelled",) * len(samples),
        spec,
        np.stack([to_input(data, spec) for data, _ in samples]),
        texts,
        task.targets(texts),
    )


def tell(measured: Measured, least: Mapping[str, float]) -> Measured:
    """Print the figures, and hand them on."""
    evaluation, spent = measured
    for name, value in evaluation.metrics.items():
        held = f"   (at least {least[name]:.4g})" if name in least else ""
        print(f"{name:28} {value:9.4f}{held}")
    print(f"95% interval of {evaluation.quality}: {evaluation.interval}")
    print(f"core-seconds of training: {spent:.0f}", flush=True)
    return measured


def draw(path: Path, points: Sequence[tuple[int, Evaluation, float]]) -> None:
    """What more epochs bring: each share among the metrics, over the core-seconds they took."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    spent = [seconds for _, _, seconds in points]
    for name in points[0][1].metrics:
        values = [evaluation.metrics[name] for _, evaluation, _ in points]
        if all(0 <= value <= 1 for value in values):
            axes.plot(spent, values, marker="o", label=name)
    axes.set_xticks(spent, [f"{epochs} epochs\n{seconds:.0f} s" for epochs, _, seconds in points])
    axes.set(xlabel="core-seconds of training", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=110)


def _seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
