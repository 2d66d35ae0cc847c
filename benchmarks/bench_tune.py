"""What a trial costs beyond its training: 1,000 of a trivial function, beside bare Optuna.

    python benchmarks/bench_tune.py [--trials N] [--only bare|ours|workers]

Bare Optuna calls the same function in its own process, with its trials in memory, in SQLite and in
its own journal file. Everloop's trials are each a process, judged on a validation part, written
to a journal and recorded in MLflow. The last table has trials of half a core-second, by one worker
and by two.
"""

import argparse
import contextlib
import csv
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from rich.console import Console
from rich.table import Table

from everloop.app.assemble import assemble
from everloop.ids import SnapshotId
from everloop.loop import kinds
from everloop.loop.single import run_action
from everloop.loop.tuning import Effort, Search, plan_of, run_study
from everloop.tuning.journal import Journal

ROWS, WORK = 300, 0.5
_PRODUCT = """
import time

from sklearn.linear_model import LogisticRegression

from everloop.product import Product
from everloop.space import Choice, Float, Int
from everloop.tasks.tabular import TabularClassification

product = Product("bench", task=TabularClassification("busy", ["no", "yes"], ["hour", "warmth"]))
product.space({{
    "strength": Float(0.001, 10.0, log=True), "width": Int(1, 64), "kind": Choice("a", "b", "c")
}})


@product.train
def train(data, params, run):
    began = time.process_time()
    while time.process_time() - began < {work}:
        sum(range(10_000))
    return LogisticRegression(C=params["strength"]).fit(data.rows(), data.labels())
"""


@dataclass(frozen=True)
class Cost:
    """Of a whole study."""

    seconds: float
    cores: float
    trials: int

    def each(self) -> str:
        """Milliseconds a trial."""
        return f"{1000 * self.seconds / self.trials:.1f}"

    def cores_each(self) -> str:
        """The same of processor time."""
        return f"{1000 * self.cores / self.trials:.1f}"


@contextlib.contextmanager
def project(work: float) -> Iterator[Path]:
    """A project with rows taken in."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "data").mkdir()
        (folder / "product.py").write_text(_PRODUCT.format(work=work))
        (folder / "everloop.toml").write_text(
            'level = 0\n[data]\nsources = ["data"]\n[train]\nthreads = 1\n'
        )
        with (folder / "data" / "rows.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["hour", "warmth", "busy"])
            rows.writerows(table())
        yield folder


def table() -> list[tuple[int, float, str]]:
    """Hours, warmth, and whether it is busy then."""
    generator = np.random.default_rng(0)
    warmth = generator.normal(12, 8, ROWS).round(3).tolist()
    noise = generator.normal(0, 40, ROWS).tolist()
    return [
        (at % 24, warmth[at], "yes" if 10 * (at % 24) + 3 * warmth[at] + noise[at] > 150 else "no")
        for at in range(ROWS)
    ]


def cost(do: Callable[[], object], trials: int) -> Cost:
    """What it takes, with all processes it starts."""
    began, used = time.perf_counter(), _cores()
    do()
    return Cost(time.perf_counter() - began, _cores() - used, trials)


def _cores() -> float:
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


def bare(storage: Any, trials: int) -> Cost:
    """Optuna alone with the same sampler and function."""
    from sklearn.linear_model import LogisticRegression

    rows = table()
    inputs = np.array([row[:2] for row in rows], np.float32)
    labels = np.array([row[2] == "yes" for row in rows])

    def objective(trial: optuna.Trial) -> float:
        strength = trial.suggest_float("strength", 0.001, 10.0, log=True)
        trial.suggest_int("width", 1, 64)
        trial.suggest_categorical("kind", ["a", "b", "c"])
        model = LogisticRegression(C=strength).fit(inputs[:192], labels[:192])
        return float(model.score(inputs[192:240], labels[192:240]))

    # At random on both sides: choosing points by TPE costs Optuna tens of milliseconds each.
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(storage=storage, direction="maximize", sampler=sampler)
    return cost(lambda: study.optimize(objective, n_trials=trials), trials)


def ours(folder: Path, trials: int, workers: int) -> Cost:
    """A whole call of `everloop tune`, without the start of its own process."""
    opened = assemble(folder)
    if not opened.data.samples.count():
        import subprocess
        import sys

        source = [sys.executable, "-m", "everloop.app", "data", "import", str(folder / "data")]
        subprocess.run([*source, "-C", str(folder)], check=True, stdout=subprocess.DEVNULL)
        opened = assemble(folder)
    pin = kinds.snapshot(opened.policy, opened.data.labelled_counts().version)
    taken = run_action(opened, pin, by="bench", clock=lambda: datetime.now(UTC))
    plan = plan_of(
        opened, SnapshotId(str(taken.result["snapshot"])), Search("random", None, workers, 0.2)
    )
    effort = Effort(trials, None, None, workers)
    found: dict[str, Any] = {}

    def do() -> None:
        found.update(run_study(opened, plan, effort, lambda _done, _best: None))

    told = cost(do, trials)
    assert found["complete"] == trials, found
    return told


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--only", choices=("bare", "ours", "workers"))
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found: dict[str, Cost] = {}
    if options.only in (None, "bare", "ours"):
        found |= _bare(options.trials)
    if options.only in (None, "ours"):
        with project(0) as folder:
            found["Everloop, 1 worker"] = ours(folder, options.trials, 1)
            found["Everloop, 2 workers"] = ours(folder, options.trials, 2)
    if found:
        _print(f"{options.trials} trials of a trivial function", found)
    if options.only in (None, "workers"):
        with project(WORK) as folder:
            few = max(20, options.trials // 25)
            both = {f"{n} workers": ours(folder, few, n) for n in (1, 2)}
        _print(f"{few} trials of {WORK} core-seconds", both)


def _bare(trials: int) -> dict[str, Cost]:
    journals = optuna.storages.journal
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        file = journals.JournalFileBackend(str(place / "journal"))
        kept: dict[str, Any] = {
            "Optuna in memory": None,
            "Optuna in SQLite": f"sqlite:///{place / 'optuna.db'}",
            "Optuna in its journal file": optuna.storages.JournalStorage(file),
            "Optuna in Everloop's journal": optuna.storages.JournalStorage(Journal(place / "ours")),
        }
        bare(None, 5)  # The first loads what the others find loaded.
        return {name: bare(storage, trials) for name, storage in kept.items()}


def _print(title: str, found: dict[str, Cost]) -> None:
    grid = Table(title=title)
    for column in ("", "s", "ms a trial", "core-ms a trial", "x the first"):
        grid.add_column(column, justify="left" if not column else "right")
    first = next(iter(found.values()))
    for name, one in found.items():
        grid.add_row(
            name, f"{one.seconds:.1f}", one.each(), one.cores_each(),
            f"{one.seconds / first.seconds:.2f}",
        )  # fmt: skip
    Console().print(grid)


if __name__ == "__main__":
    main()
