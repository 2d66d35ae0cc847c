"""What recording costs: of a training step, of a checkpoint, and of looking at 1,000 runs.

    python benchmarks/bench_runs.py

A training through Everloop (the template for image classification, with its figures, resuming and
checkpoints) stands beside the same loop written by hand over the same arrays. Times are of the
processor, not of the clock, so that a busy machine matters less.
"""

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from everloop.action import Action, Outcome
from everloop.app.assemble import assemble
from everloop.data.training_data import SnapshotSide
from everloop.ids import Json
from everloop.loop.controller import acquire
from everloop.training.attempt import Attempt, run_training
from everloop.training.project_code import load_product

TEMPLATE = Path(__file__).parents[1] / "src" / "everloop" / "templates" / "image-classification"
IMAGES, SIDE, EPOCHS, BATCH, RATE = 512, 64, 2, 32, 0.005
ROUNDS, LOGS, RUNS, FIGURES = 3, 20_000, 1000, 40


class _Data:
    """Noise of two classes, in memory."""

    classes = ("cat", "dog")
    features = ()

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self._images = generator.random((IMAGES, 3, SIDE, SIDE), np.float32)

    def __len__(self) -> int:
        return IMAGES

    def images(self) -> Any:
        return self._images

    def rows(self) -> Any:
        raise NotImplementedError

    def labels(self) -> Any:
        return np.arange(IMAGES) % 2


def main() -> None:
    """Measure all of it and print one table."""
    table = Table(title="What recording costs, processor time")
    for column in ("", "measured", "beside"):
        table.add_column(column, justify="left" if not column else "right")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ours, plain = throughput(folder)
        share = f"{ours / plain:.1%} of it"
        table.add_row("template, images/s", f"{ours:.0f}", f"by hand {plain:.0f}: {share}")
        log, step = logging(folder), BATCH / plain
        table.add_row("run.log, one figure", f"{log * 1e6:.1f} us", f"{log / step:.3%} of a step")
        kept, size = checkpoint(folder)
        table.add_row("run.checkpoint", f"{kept * 1e3:.1f} ms", f"{size / 1e6:.2f} MB")
        listed, none = listing(folder / "many", RUNS), listing(folder / "none", 0)
        table.add_row(f"runs list, {RUNS} runs", f"{listed:.2f} s", f"of none {none:.2f} s")
    Console().print(table)


def throughput(folder: Path) -> tuple[float, float]:
    """Images a second of processor time: through Everloop, and by hand."""
    shutil.copytree(TEMPLATE, folder / "project")
    product, data = load_product(folder / "project"), _Data()
    params = {"epochs": EPOCHS, "batch_size": BATCH, "learning_rate": RATE, "aside": 0.0,
              "patience": 0, "backbone": ""}  # fmt: skip
    side: SnapshotSide = data  # type: ignore[assignment]
    ours, plain = [], []
    for number in range(ROUNDS):
        place = folder / f"run{number}"
        place.mkdir()
        attempt = Attempt(place, 0, every=10.0)
        began = time.process_time()
        run_training(product, side, params, attempt, threads=1, project=folder / "project")
        ours.append(EPOCHS * IMAGES / (time.process_time() - began))
        began = time.process_time()
        by_hand(data)
        plain.append(EPOCHS * IMAGES / (time.process_time() - began))
    return statistics.median(ours), statistics.median(plain)


def by_hand(data: _Data) -> None:
    """The same network, changes of pictures, optimizer and schedule, and nothing else."""
    product: Any = sys.modules["product"]

    torch.manual_seed(0)
    torch.set_num_threads(1)
    images, labels = torch.from_numpy(data.images()), torch.from_numpy(data.labels())
    model = product.small_network(3, 2).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    steps = EPOCHS * -(-IMAGES // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
    for _ in range(EPOCHS):
        for rows in torch.split(torch.randperm(IMAGES), BATCH):
            loss = torch.nn.functional.cross_entropy(
                model(product.augment(images[rows])), labels[rows]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def logging(folder: Path) -> float:
    """Seconds of one `run.log`."""
    place = folder / "log"
    place.mkdir()
    attempt = Attempt(place, 0)
    began = time.process_time()
    for step in range(LOGS):
        attempt.log(step, loss=0.5)
    spent = time.process_time() - began
    attempt.close()
    return spent / LOGS


def checkpoint(folder: Path) -> tuple[float, int]:
    """Seconds and bytes of one checkpoint of the template's network and its optimizer."""
    product: Any = sys.modules["product"]

    place = folder / "checkpoint"
    place.mkdir()
    model = product.small_network(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(1, 3, SIDE, SIDE)).sum().backward()
    optimizer.step()
    attempt = Attempt(place, 0)
    attempt.resume(model=model, optimizer=optimizer)
    began = time.process_time()
    for step in range(20):
        attempt.checkpoint(step)
    spent = (time.process_time() - began) / 20
    return spent, (place / "checkpoint.npz").stat().st_size


def listing(project: Path, count: int) -> float:
    """Processor seconds of `everloop runs list` in a project of so many runs."""
    shutil.copytree(TEMPLATE, project)
    stores = assemble(project)
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    fence = acquire(stores, begun)
    assert fence is not None
    packages = {f"package-{n}": "1.0" for n in range(200)}
    for number in range(count):
        params = {"epochs": FIGURES, "learning_rate": 0.001 * number}
        inputs: dict[str, Json] = {
            "snapshot": "5" * 64,
            "code": "c" * 64,
            "params": params,
            "seed": 0,
            "threads": 2,
        }
        action, at = Action("train", inputs), begun + timedelta(minutes=number)
        stores.journal.intend(action, "learn", "benchmark", fence, at)
        bundle = {"bundle": f"{number:064}"}
        stores.journal.finish(action.key, Outcome(final=True, result=bundle), fence, at)
        folder = stores.layout.jobs / action.key
        folder.mkdir(parents=True)
        told = {"environment": packages, "hardware": {"cores": "2"}, "metrics": {"loss": 0.5}}
        (folder / "attempt.json").write_text(json.dumps(told))
        lines = [json.dumps({"step": n, "name": "loss", "value": 0.5, "at": 0}) + "\n"
                 for n in range(FIGURES)]  # fmt: skip
        (folder / "figures.jsonl").write_text("".join(lines))
    stores.leases.release(fence)
    command = [sys.executable, "-m", "everloop.app", "runs", "list", "--project", str(project)]
    spent = []
    for _ in range(ROUNDS):
        before = _children()
        subprocess.run([*command, "--limit", str(max(1, count))], check=True, capture_output=True)
        spent.append(_children() - before)
    return statistics.median(spent)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
