"""Two models on the same samples: what chance would do is not called a difference."""

from dataclasses import replace

import numpy as np
import pytest

from everloop.evaluation.comparison import below_zero, compare
from everloop.evaluation.evaluate import Evaluation
from everloop.evaluation.gates import Gates, judge
from everloop.ids import BundleId, SampleId, SnapshotId
from everloop.labels import ValueLabel, encode
from everloop.tasks.image_classification import ImageClassification
from everloop.tasks.tabular import TabularRegression

TASK = ImageClassification("ab", size=(4, 4), channels=1)
FIGURES = TabularRegression("y", ["x"])


def _classes(right: np.ndarray) -> Evaluation:
    count = len(right)
    truth = np.arange(count) % 2
    values = np.full((count, 2), 0.1, np.float32)
    values[np.arange(count), np.where(right, truth, 1 - truth)] = 0.9
    return Evaluation(
        BundleId("b" * 64), SnapshotId("s"), ("a", "b"),
        tuple(SampleId(f"{n:064x}") for n in range(count)),
        tuple("ab"[n] for n in truth), ("labelled",) * count, values,
        TASK.score(values, truth), TASK.quality, TASK.qualities(values, truth),
    )  # fmt: skip


def _figures(errors: np.ndarray) -> Evaluation:
    truth = np.linspace(1, 100, len(errors))
    values = (truth + errors)[:, None].astype(np.float32)
    return Evaluation(
        BundleId("b" * 64), SnapshotId("s"), (),
        tuple(SampleId(f"{n:064x}") for n in range(len(errors))),
        tuple(encode(ValueLabel(float(n))) for n in truth), ("labelled",) * len(errors), values,
        FIGURES.score(values, truth), FIGURES.quality, FIGURES.qualities(values, truth),
    )  # fmt: skip


def test_mcnemar_counts_only_where_one_alone_is_right() -> None:
    champion, candidate = np.ones(100, bool), np.ones(100, bool)
    champion[:2], candidate[2:12] = False, False
    found = compare(_classes(candidate), _classes(champion), TASK)
    assert found is not None and found.test == "McNemar's exact test"
    # Ten lost, two won: of twelve fair coins ten or more fall so with 79 / 4096.
    assert found.p_worse == pytest.approx(79 / 4096)
    accuracy = found.differences["accuracy"]
    assert accuracy.candidate - accuracy.champion == pytest.approx(-0.08)
    assert accuracy.low < -0.08 < accuracy.high < 0 and accuracy.told == "lower"
    assert accuracy.p_lower < 0.05
    quick = compare(_classes(candidate), _classes(champion), TASK, resampled=False)
    assert quick is not None and quick.p_worse == found.p_worse
    assert quick.differences["accuracy"].told == "not told apart"


def test_the_permutation_test_counts_all_ways_of_few_pairs() -> None:
    # Of 2^3 ways to flip signs, the one seen is the only one with so low a sum.
    assert below_zero(np.array([-1.0, -2.0, -3.0])) == 1 / 8
    assert below_zero(np.array([-1.0, 1.0, 0.0])) == pytest.approx(3 / 4)


def test_the_three_ways_to_count_agree() -> None:
    random = np.random.default_rng(3)
    drawn = random.normal(-0.1, 1, 400)
    normal = below_zero(np.tile(drawn, 6)[:2400])
    assert 0 < normal < below_zero(drawn) < 0.2


def test_errors_of_figures_are_told_apart_only_when_they_differ() -> None:
    random = np.random.default_rng(4)
    errors = random.normal(0, 5, 300)
    worse = compare(_figures(errors * 1.3), _figures(errors), FIGURES)
    assert worse is not None and worse.test == "paired permutation test"
    assert worse.p_worse < 0.001 and worse.p_better > 0.99
    assert worse.differences["mean_absolute_error"].told == "higher"
    alike = compare(_figures(random.permutation(errors)), _figures(errors), FIGURES)
    assert alike is not None and alike.p_worse > 0.05
    assert alike.differences["r2"].told == "not told apart"


def test_equal_models_of_figures_are_rarely_called_worse() -> None:
    random, stopped = np.random.default_rng(0), 0
    for _ in range(200):
        stopped += below_zero(random.standard_t(3, 60)) < 0.05
    # Ten are expected; 22 is four standard deviations more.
    assert stopped <= 22


def test_what_was_measured_on_other_samples_is_not_compared() -> None:
    assert compare(_classes(np.ones(10, bool)), _classes(np.ones(11, bool)), TASK) is None


def test_what_is_no_number_is_worse() -> None:
    fine = _figures(np.ones(30))
    broken = replace(fine, qualities=np.full(30, np.nan), values=fine.values * np.nan)
    found = compare(broken, fine, FIGURES)
    assert found is not None and found.p_worse == 0.0
    assert found.differences["mean_absolute_error"].told == "not told apart"


def test_a_margin_holds_only_what_is_surely_within_it() -> None:
    champion, candidate = np.ones(400, bool), np.ones(400, bool)
    candidate[:8] = False
    new, old = _classes(candidate), _classes(champion)
    found = compare(new, old, TASK)

    def stopped(most: float) -> list[str]:
        gates = Gates({}, 1e-9, 1000, 0.0, max_loss={"accuracy": most})
        return [c.name for c in judge(new, old, gates, comparison=found).checks if not c.passed]

    assert stopped(0.05) == [] and stopped(0.02) == ["loss of accuracy"]
    gates = Gates({}, 1e-9, 1000, 0.0, max_loss={"map_50": 0.1})
    assert "not measured of both" in judge(new, old, gates, comparison=found).summary
