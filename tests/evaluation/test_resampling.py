"""Resampled metrics are the library's own, many at once; intervals hold what they promise."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from everloop.evaluation.resampling import interval, metric_draws
from everloop.labels import ValueLabel, encode
from everloop.tasks.detection_scores import coco_by_class, coco_by_size
from everloop.tasks.image_classification import ImageClassification
from everloop.tasks.image_retrieval import ImageRetrieval
from everloop.tasks.multi_label import MultiLabelClassification
from everloop.tasks.object_detection import ObjectDetection
from everloop.tasks.tabular import TabularRegression
from everloop.tasks.task import Learnable, Resamples

COUNT = 60


def _made(kind: str) -> tuple[Learnable, NDArray[np.float32], Any]:
    """A task with imperfect answers to 60 samples."""
    random = np.random.default_rng(5)
    if kind == "one-class":
        scores = random.random((COUNT, 4)) ** 3
        truth = np.where(random.random(COUNT) < 0.7, scores.argmax(1), random.integers(0, 4, COUNT))
        shares: NDArray[np.float32] = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
        return ImageClassification("abcd"), shares, truth
    if kind == "several":
        # Rounded, so that scores are often equal.
        values = random.random((COUNT, 3)).round(1).astype(np.float32)
        targets = (values + random.normal(0, 0.3, values.shape) > 0.5).astype(np.float32)
        return MultiLabelClassification("abc"), values, targets
    if kind == "figures":
        true = random.gamma(2, 50, COUNT)
        given = (true * random.normal(1, 0.2, COUNT)).clip(0)[:, None].astype(np.float32)
        return TabularRegression("y", ["x"]), given, true
    hits = np.zeros((COUNT, 10, 3), np.float32)
    hits[:, :, 0] = random.integers(0, 3, (COUNT, 10))
    return ImageRetrieval("abc"), hits, random.integers(0, 3, COUNT)


@pytest.mark.parametrize("kind", ["one-class", "several", "figures", "hits"])
def test_a_resample_has_the_metrics_of_its_samples(kind: str) -> None:
    task, values, targets = _made(kind)
    assert isinstance(task, Resamples)
    drawn = np.random.default_rng(1).multinomial(COUNT, [1 / COUNT] * COUNT, size=5)
    weights = np.vstack([np.ones(COUNT), drawn]).astype(np.float64)
    found = task.resample(values, targets).metrics(weights)
    for place, row in enumerate(weights):
        which = np.repeat(np.arange(COUNT), row.astype(int))
        expected = task.score(values[which], targets[which])
        told = {name: each[place] for name, each in found.items()}
        assert told == pytest.approx(dict(expected), rel=1e-5, abs=1e-6)


def _boxes() -> tuple[ObjectDetection, NDArray[np.float32], list[NDArray[np.float32]]]:
    random = np.random.default_rng(2)
    values, targets = np.zeros((20, 100, 6), np.float32), []
    for image in range(20):
        low = random.random((6, 2)) * 0.7
        drawn = np.hstack(
            [random.integers(0, 3, (6, 1)), low, low + 0.1 + random.random((6, 2)) / 5]
        )
        targets.append(drawn.astype(np.float32))
        given = drawn[:5, 1:] + random.normal(0, 0.02, (5, 4))
        classes = np.where(random.random(5) < 0.8, drawn[:5, 0], random.integers(0, 3, 5))
        scores = np.sort(random.random(5))[::-1]
        values[image, :5] = np.column_stack([given, scores, classes])
    return ObjectDetection("abc", (32, 32)), values, targets


def test_boxes_of_some_images_have_cocos_figures_of_those() -> None:
    pytest.importorskip("pycocotools", reason="the extra `detection` is not installed")
    task, values, targets = _boxes()
    weights = np.ones((2, 20))
    weights[1, ::3] = 0
    found = task.resample(values, targets).metrics(weights)
    for place, row in enumerate(weights):
        which = np.flatnonzero(row)
        expected = task.score(values[which], [targets[image] for image in which])
        assert {n: each[place] for n, each in found.items()} == pytest.approx(dict(expected))


def test_each_class_and_size_of_boxes_has_its_own_figure() -> None:
    pytest.importorskip("pycocotools", reason="the extra `detection` is not installed")
    task, values, targets = _boxes()
    found = coco_by_class(values, targets, task.classes)
    assert set(found) == {"map_50[a]", "map_50[b]", "map_50[c]"}
    whole = task.score(values, targets)["map_50"]
    assert np.mean(list(found.values())) == pytest.approx(whole)
    # Sides of a tenth to three tenths: below 32 pixels of 100, above 96 of 1,000.
    small = coco_by_size(values, targets, 3, [(100, 100)] * 20)
    large = coco_by_size(values, targets, 3, [(1000, 1000)] * 20)
    assert small["map_small"] > 0 and math.isnan(small["map_large"])
    assert large["map_large"] > 0 and math.isnan(large["map_small"])


def test_nothing_drawn_has_no_figure_and_nothing_answered_has_none_right() -> None:
    pytest.importorskip("pycocotools", reason="the extra `detection` is not installed")
    task, values, targets = _boxes()
    empty = [np.zeros((0, 5), np.float32)] * 20
    assert np.isnan(metric_draws(task, values, empty)["map_50"]).all()
    nothing = metric_draws(task, np.zeros_like(values), targets)
    assert not nothing["map_50"].any() and math.isnan(task.score(values, empty)["map_50"])


class _Plain:
    """A task of somebody else, which can only be scored."""

    quality = "accuracy"

    def targets(self, labels: Any) -> Any:
        return labels

    def score(self, values: NDArray[np.float32], targets: Any) -> dict[str, float]:
        return {"accuracy": float((values[:, 0] == targets).mean())}

    def qualities(self, values: NDArray[np.float32], targets: Any) -> NDArray[np.float64]:
        right: NDArray[np.float64] = (values[:, 0] == targets).astype(np.float64)
        return right


def test_a_task_that_only_scores_has_intervals_too() -> None:
    truth = np.zeros(200)
    values = (np.arange(200) % 5 == 0)[:, None].astype(np.float32)
    low, high = interval(metric_draws(_Plain(), values, truth)["accuracy"])
    assert low < 0.8 < high and 0.05 < high - low < 0.2


def test_two_models_on_one_hold_out_are_drawn_in_pairs() -> None:
    task, values, targets = _made("one-class")
    one, two = (metric_draws(task, values, targets)["accuracy"] for _ in range(2))
    assert np.array_equal(one, two) and len(one) == 1000 and one.std() > 0


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Of 120 hold-outs of a model of known error, the intervals hold it 95 times in 100."""
    random = np.random.default_rng(0)
    task, held = TabularRegression("y", ["x"]), 0
    for _ in range(120):
        targets = random.normal(0, 1, 80)
        values = (targets + random.normal(0, 2, 80))[:, None].astype(np.float32)
        low, high = interval(metric_draws(task, values, targets)["root_mean_squared_error"])
        held += low <= 2 <= high
    # 114 are promised; four standard deviations fewer would be a mistake. A percentile interval of
    # a root is a little short.
    assert held >= 103


def test_answers_that_are_no_numbers_have_no_interval() -> None:
    task, values, targets = _made("figures")
    assert metric_draws(task, np.full_like(values, np.nan), targets) == {}
    assert all(map(math.isnan, interval(np.full(10, np.nan))))
    assert task.targets([encode(ValueLabel(1.5))]) == [1.5]
