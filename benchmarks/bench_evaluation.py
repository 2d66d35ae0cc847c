"""What the intervals of metrics cost: resamples at once, beside scoring each resample anew.

    python benchmarks/bench_evaluation.py

Prints processor seconds for all metrics of one evaluation, and the ratio.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everloop.evaluation.resampling import metric_draws
from everloop.tasks.image_classification import ImageClassification
from everloop.tasks.object_detection import ObjectDetection
from everloop.tasks.tabular import TabularRegression
from everloop.tasks.task import Learnable

_ANEW = 5
"""Resamples that are scored anew; the others cost as much."""


def main() -> None:
    """Measure each and print the table."""
    print(f"{'task':24}{'samples':>9}{'draws':>7}{'at once, s':>12}{'anew, s':>10}{'ratio':>8}")
    for count in (500, 5000, 50_000):
        tell(*classes(count), draws=1000)
    tell(*figures(5000), draws=1000)
    tell(*boxes(100), draws=200)


def tell(task: Learnable, values: NDArray[np.float32], targets: Any, *, draws: int) -> None:
    """One line of the table."""
    at_once = spent(lambda: metric_draws(task, values, targets))
    random = np.random.default_rng(0)

    def anew() -> None:
        for _ in range(_ANEW):
            which = random.integers(0, len(values), len(values))
            taken = (
                targets[which] if isinstance(targets, np.ndarray) else [targets[n] for n in which]
            )
            task.score(values[which], taken)

    each = spent(anew) / _ANEW * draws
    print(
        f"{task.kind:24}{len(values):>9,}{draws:>7,}{at_once:>12.2f}{each:>10.1f}"
        f"{each / at_once:>7.0f}x"
    )


def spent(what: Callable[[], object]) -> float:
    """Processor seconds of the second of two runs; the first loads what is needed."""
    what()
    began = time.process_time()
    what()
    return time.process_time() - began


def classes(count: int) -> tuple[Learnable, NDArray[np.float32], Any]:
    """Answers of ten classes, nine in ten of them right."""
    random = np.random.default_rng(1)
    scores = random.random((count, 10)) ** 4
    wrong = random.integers(0, 10, count)
    truth = np.where(random.random(count) < 0.9, scores.argmax(1), wrong)
    values = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
    return ImageClassification("0123456789"), values, truth


def figures(count: int) -> tuple[Learnable, NDArray[np.float32], Any]:
    """Figures with errors."""
    random = np.random.default_rng(2)
    targets = random.gamma(2, 50, count)
    values = (targets * random.normal(1, 0.1, count)).clip(0)[:, None].astype(np.float32)
    return TabularRegression("y", ["x"]), values, targets


def boxes(count: int) -> tuple[Learnable, NDArray[np.float32], Any]:
    """Ten drawn boxes of three classes an image, and thirty answered ones."""
    random = np.random.default_rng(3)
    values, targets = np.zeros((count, 100, 6), np.float32), []
    for image in range(count):
        low = random.random((10, 2)) * 0.8
        drawn = np.hstack([random.integers(0, 3, (10, 1)), low, low + 0.15])
        targets.append(drawn.astype(np.float32))
        near = np.tile(drawn, (3, 1))
        edges = near[:, 1:] + random.normal(0, 0.03, (30, 4))
        values[image, :30] = np.column_stack([edges, np.sort(random.random(30))[::-1], near[:, 0]])
    return ObjectDetection("abc", (320, 320)), values, targets


if __name__ == "__main__":
    main()
