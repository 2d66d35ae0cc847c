"""Speed, reliability, mistakes and explanations are what their definitions say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.bundles import SIDE, make_bundle
from tests.support.pictures import noise

from everloop.data.training_data import SnapshotSide
from everloop.errors import Refused
from everloop.evaluation.evaluate import Evaluation
from everloop.evaluation.explain import importance, occlusion_map
from everloop.evaluation.mistakes import MISSED, NOTHING, Taken, confusion, worst
from everloop.evaluation.reliability import calibration_facts, reliability
from everloop.evaluation.report import Example, Report, load_report, save_report
from everloop.evaluation.robustness.suite import Corrupted, Robustness
from everloop.evaluation.speed import size_of, speed_of
from everloop.ids import BundleId, SampleId, SnapshotId
from everloop.labels import Box, BoxesLabel, ClassesLabel, encode
from everloop.tasks.tabular import TabularRegression
from everloop_runtime.answers.boxes import Boxes
from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.answers.multi_label import MultiLabel
from everloop_runtime.bundle import open_bundle
from everloop_runtime.model import Model
from everloop_runtime.rows import Feature, RowSpec


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A bundle that calls a picture bright by its mean, loaded."""
    folder = tmp_path_factory.mktemp("bundles")
    name = make_bundle(folder)
    return Model.load(open_bundle(folder / name, name))


def _evaluation(values: NDArray[Any], labels: list[str], classes: tuple[str, ...]) -> Evaluation:
    count = len(labels)
    return Evaluation(
        BundleId("b" * 64), SnapshotId("s"), classes,
        tuple(SampleId(f"{n:064x}") for n in range(count)), tuple(labels), ("x",) * count,
        values.astype(np.float32), {}, "accuracy", np.zeros(count),
    )  # fmt: skip


def test_reliability_and_its_errors_are_the_textbooks() -> None:
    sure = np.array([0.95, 0.95, 0.55, 0.55, 1.0])
    right = np.array([1.0, 1.0, 1.0, 0.0, 0.0])
    bins = reliability(sure, right)
    assert [(b.count, b.right) for b in bins] == [(2, 0.5), (3, pytest.approx(2 / 3))]
    facts = calibration_facts(bins)
    gaps = (0.05, abs(2 / 3 - 2.9 / 3))
    assert facts["maximum_calibration_error"] == pytest.approx(gaps[1])
    assert facts["expected_calibration_error"] == pytest.approx((2 * gaps[0] + 3 * gaps[1]) / 5)
    assert reliability(np.array([np.nan]), np.array([1.0])) == () and calibration_facts(()) == {}


def test_what_is_taken_for_what_is_counted_for_each_kind_of_answer() -> None:
    one = _evaluation(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), ["a", "b", "b"], ("a", "b"))
    assert set(confusion(one, ClassProbabilities(("a", "b")))) == {
        Taken("a", "a", 1), Taken("b", "a", 1), Taken("b", "b", 1),
    }  # fmt: skip
    labels = [encode(ClassesLabel(("a",))), encode(ClassesLabel(("a", "b")))]
    several = _evaluation(np.array([[0.1, 0.9], [0.9, 0.9]]), labels, ("a", "b"))
    assert set(confusion(several, MultiLabel(("a", "b")))) == {
        Taken("a", MISSED, 1), Taken(NOTHING, "b", 1), Taken("a", "a", 1), Taken("b", "b", 1),
    }  # fmt: skip


def test_boxes_are_taken_for_what_they_overlap() -> None:
    drawn = BoxesLabel((Box("a", 0, 0, 0.4, 0.4), Box("b", 0.5, 0.5, 1, 1)))
    values = np.zeros((1, 5, 6))
    values[0, :3] = [
        (0.0, 0.0, 0.4, 0.4, 0.9, 1),  # a called b
        (0.0, 0.6, 0.3, 0.9, 0.8, 0),  # nothing there
        (0.5, 0.5, 1.0, 1.0, 0.1, 1),  # not shown
    ]
    boxes = _evaluation(values, [encode(drawn)], ("a", "b"))
    assert set(confusion(boxes, Boxes(("a", "b"), most=5))) == {
        Taken("a", "b", 1), Taken(NOTHING, "a", 1), Taken("b", MISSED, 1),
    }  # fmt: skip


def test_the_surest_wrong_answers_are_the_worst() -> None:
    made = _evaluation(np.zeros((4, 2)), ["a"] * 4, ("a", "b"))
    made.qualities[:] = [1, 0, 1, 0]
    assert worst(made, np.array([0.6, 0.7, 0.9, 0.99]), 4) == (3, 1, 0, 2)
    assert worst(made, np.full(4, np.nan), 2) == (1, 3)


def test_a_column_that_answers_hang_on_is_important_and_a_needless_one_is_not() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(0, 1, (300, 3)).astype(np.float32)
    rows[5, 2] = np.nan
    spec = RowSpec((Feature("much"), Feature("some"), Feature("none", may_miss=True)))
    task = TabularRegression("y", ["much", "some", "none"])
    truth = 3 * rows[:, 0] + rows[:, 1]
    held = SnapshotSide((), (SampleId("s"),) * 300, ("x",) * 300, spec, rows, ("",) * 300, truth)
    found = importance(lambda given: 3 * given[:, :1] + given[:, 1:2], held, task)
    assert [one.name for one in found] == ["much", "some", "none"]
    assert found[0].loss > 2 * found[1].loss > 0 == found[2].loss


def test_speed_is_the_best_of_three_rounds_by_the_clock_it_is_given(model: Model) -> None:
    held = [noise(seed) for seed in range(16)]

    def ticks() -> Iterator[float]:
        now = 0.0
        # Every reading is five milliseconds after the one before; the last rounds are slower.
        for reading in range(10_000):
            yield now
            now += 0.005 if reading < 40 else 0.05

    clock = ticks()
    found = speed_of(model, held, model.decode(held), clock=lambda: next(clock))
    assert found["latency_p50_ms"] == pytest.approx(5.0) == found["latency_p95_ms"]
    assert found["samples_per_second"] == pytest.approx(32 / 0.05)
    sizes = size_of(model.bundle)
    assert 0 < sizes["model_mib"] < sizes["bundle_mib"]


def test_the_place_that_an_answer_hangs_on_is_the_reddest(model: Model) -> None:
    pixels = np.full((SIDE, SIDE, 1), 200, np.uint8)
    pixels[-1, -1] = 255
    heat = occlusion_map(model, pixels)
    assert heat is not None and heat.shape == (7, 7) and heat.min() >= 0
    assert heat[6, 6] == heat.max() == 1.0
    assert occlusion_map(model, np.full_like(pixels, 7)) is None, "an even picture hides nothing"


def test_a_report_is_stored_once_and_cannot_be_changed(tmp_path: Path) -> None:
    made = Report(
        "e" * 64,
        {"latency_p95_ms": 1.25},
        examples=(Example(SampleId("s"), "a", "b", None, 0.0, "s.jpg"),),
        robustness=Robustness(16, 0.9, (Corrupted("blur", 1, 0.5),)),
    )
    digest = save_report(tmp_path, made)
    assert save_report(tmp_path, made) == digest and load_report(tmp_path, digest) == made
    path = tmp_path / f"{digest}.report.json"
    path.write_text(path.read_text().replace("1.25", "0.25"))
    with pytest.raises(Refused, match="changed after it was stored"):
        load_report(tmp_path, digest)
    with pytest.raises(Refused, match="there is no report"):
        load_report(tmp_path, "f" * 64)
