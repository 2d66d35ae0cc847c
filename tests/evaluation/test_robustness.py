"""Each damage does what it is called, more so at each strength, and the suite keeps its budget."""

from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.scenes import scene

from everloop.data.training_data import SnapshotSide
from everloop.errors import Refused
from everloop.evaluation.robustness import pictures, rows
from everloop.evaluation.robustness.suite import Suite, fitting, robustness
from everloop.ids import SampleId
from everloop.policy import Corruption
from everloop.tasks.image_classification import ImageClassification
from everloop.tasks.object_detection import ObjectDetection
from everloop.tasks.tabular import TabularClassification
from everloop.tasks.task import Learnable
from everloop_runtime.images import ImageSpec
from everloop_runtime.rows import Feature, RowSpec

PIXELS = np.stack([np.asarray(scene(seed, 32)) for seed in range(6)])
ROWS = RowSpec((Feature("x"), Feature("kind", ("a", "b"), may_miss=True), Feature("y")))


def _side(task: Learnable, inputs: NDArray[Any], spec: Any, labels: str) -> SnapshotSide:
    count = len(inputs)
    names = tuple(SampleId(f"{n:064x}") for n in range(count))
    texts = tuple(labels[n % len(labels)] for n in range(count))
    targets = task.targets(texts) if task.label_kind == "class" else [np.zeros((0, 5))] * count
    return SnapshotSide(task.classes, names, ("x",) * count, spec, inputs, texts, targets)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", pictures.DAMAGES)
def test_a_damage_of_pictures_grows_with_its_strength(name: str, channels: int) -> None:
    given = PIXELS[..., :channels]
    apart = []
    for severity in (1, 3, 5):
        found, again = (
            pictures.DAMAGES[name](given, severity, np.random.default_rng(0)) for _ in range(2)
        )
        assert found.shape == given.shape and found.dtype == np.uint8
        assert np.array_equal(found, again), "the same damage each time"
        apart.append(np.abs(found.astype(float) - given).mean())
    assert 0 < apart[0] < apart[1] < apart[2]


def test_damages_are_what_they_are_called() -> None:
    generator = np.random.default_rng(0)
    assert pictures.brightness(PIXELS, 3, generator).mean() > PIXELS.mean() + 30
    assert pictures.darkness(PIXELS, 3, generator).mean() < PIXELS.mean() - 30
    one = pictures.contrast(PIXELS[:1, :, :, :1], 5, generator)
    assert one.std() == pytest.approx(0.15 * PIXELS[0, :, :, 0].std(), rel=0.05)
    noisy = pictures.gaussian_noise(np.full((1, 64, 64, 1), 128, np.uint8), 2, generator)
    assert noisy.std() == pytest.approx(255 * 0.08, rel=0.1)
    hidden = pictures.occlusion(np.zeros((1, 40, 40, 1), np.uint8) + 9, 3, generator)
    assert (hidden == 9).all(), "the mean colour of an even picture hides nothing"


def test_the_policy_knows_each_damage_by_its_name() -> None:
    assert set(get_args(Corruption)) == {*pictures.DAMAGES, *rows.DAMAGES}


def test_rows_are_damaged_where_the_service_would_take_them() -> None:
    random = np.random.default_rng(0)
    given = np.column_stack(
        [random.normal(0, 10, 4000), random.integers(0, 2, 4000), random.normal(5, 1, 4000)]
    ).astype(np.float32)

    def damaged(name: str, severity: int) -> NDArray[np.float32]:
        found = rows.DAMAGES[name](given, severity, ROWS, given, np.random.default_rng(1))
        assert found is not None and found.shape == given.shape and found.dtype == np.float32
        return found

    gone = np.isnan(damaged("missing", 3)).mean(axis=0)
    assert gone[0] == gone[2] == 0 and gone[1] == pytest.approx(0.2, abs=0.03)
    apart = damaged("noise", 5) - given
    assert apart[:, 0].std() == pytest.approx(10, rel=0.1) and not apart[:, 1].any()
    moved = np.abs(damaged("shift", 3) - given).mean(axis=0)
    assert moved.tolist() == pytest.approx([10, 0, 1], rel=0.05)
    assert (damaged("unknown", 5)[:, 1] == -1).mean() == pytest.approx(0.5, abs=0.05)
    plain = RowSpec((Feature("x"),))
    assert rows.missing(given[:, :1], 3, plain, given[:, :1], random) is None
    assert rows.unknown(given[:, :1], 3, plain, given[:, :1], random) is None


def _brightest(inputs: NDArray[Any]) -> NDArray[np.float32]:
    """A model of two classes by how light a picture is."""
    light = inputs.mean(axis=(1, 2, 3)) / 255
    return np.column_stack([1 - light, light]).astype(np.float32)


def _held(count: int) -> SnapshotSide:
    inputs = np.zeros((count, 8, 8, 1), np.uint8)
    inputs[1::2] = 200
    return _side(ImageClassification("ab", (8, 8), 1), inputs, ImageSpec(8, 8, 1), "ab")


def test_the_suite_tells_what_hurts_and_what_does_not() -> None:
    task = ImageClassification("ab", (8, 8), 1)
    suite = Suite(("brightness", "darkness", "blur"), (1, 5), samples=64)
    found = robustness(_brightest, _held(80), task, suite)
    assert found is not None and (found.samples, found.clean) == (64, 1.0)
    told = {(r.name, r.severity): r.quality for r in found.results}
    assert told["blur", 5] == 1.0 and told["brightness", 5] == told["darkness", 5] == 0.5
    assert found.facts("accuracy") == {
        "mean_corruption_accuracy": found.mean,
        "corruption_loss": pytest.approx(1.0 - found.mean),
    }
    again = robustness(_brightest, _held(80), task, suite)
    assert again == found, "seeded"


def test_a_slow_model_is_tried_on_fewer_samples() -> None:
    def ticks() -> Iterator[float]:
        now = 0.0
        while True:
            yield now
            now += 4.0

    clock = ticks()
    suite = Suite(("blur",), (1,), samples=200, seconds=30.0)
    task = ImageClassification("ab", (8, 8), 1)
    found = robustness(_brightest, _held(200), task, suite, clock=lambda: next(clock))
    # Eight samples took four seconds: half a second each, and half as much for the damage.
    assert found is not None and found.samples == 40


def test_a_damage_that_does_not_fit_is_refused_with_those_that_do() -> None:
    boxes = ObjectDetection("a", (8, 8), 1)
    held = _side(boxes, np.zeros((20, 8, 8, 1), np.uint8), ImageSpec(8, 8, 1), "a")
    assert "rotation" not in fitting(held, boxes) and "blur" in fitting(held, boxes)
    with pytest.raises(Refused, match=r"'rotation' does not fit a object-detection; these do"):
        robustness(_brightest, held, boxes, Suite(("rotation",)))
    table = TabularClassification("t", "ab", ["x", "kind", "y"])
    row_side = _side(table, np.zeros((20, 3), np.float32), ROWS, "ab")
    assert set(fitting(row_side, table)) == set(rows.DAMAGES)
