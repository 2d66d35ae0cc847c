"""Gates stop what is worse, let through what is not, and say why."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.errors import Refused
from everloop.evaluation.evaluate import Evaluation, load, save
from everloop.evaluation.gates import Gates, judge
from everloop.evaluation.intervals import wilson
from everloop.ids import BundleId, Json, SampleId, SnapshotId
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.ids import canonical_json, digest_json

TASK = ImageClassification("ab", size=(4, 4), channels=1)
GATES = Gates({"accuracy": 0.8}, significance=0.05, slice_min_samples=20, slice_min_accuracy=0.5)


def evaluation(
    right: Sequence[bool], labels: Sequence[int] | None = None, bundle: str = "b"
) -> Evaluation:
    count = len(right)
    truth = np.array(labels if labels is not None else [n % 2 for n in range(count)])
    answers = np.where(right, truth, 1 - truth)
    probabilities = np.full((count, 2), 0.1, np.float32)
    probabilities[np.arange(count), answers] = 0.9
    return Evaluation(
        BundleId(bundle * 64),
        SnapshotId("s" * 64),
        ("a", "b"),
        tuple(SampleId(f"{n:064x}") for n in range(count)),
        tuple("ab"[number] for number in truth),
        tuple("labelled" for _ in range(count)),
        probabilities,
        TASK.score(probabilities, truth),
        TASK.quality,
        TASK.qualities(probabilities, truth),
    )


def _share(right: int, total: int) -> list[bool]:
    """`right` of `total`, spread so that both classes have their part."""
    return [n < right for n in range(total)]


def test_a_good_first_model_passes_with_its_figures() -> None:
    verdict = judge(evaluation(_share(90, 100)), None, GATES)
    assert verdict.passed
    assert "accuracy 0.9000 is at least 0.8" in [c.reason for c in verdict.checks]


def test_too_low_a_metric_stops_it() -> None:
    verdict = judge(evaluation(_share(70, 100)), None, GATES)
    assert not verdict.passed
    assert [c.reason for c in verdict.checks if not c.passed] == ["accuracy 0.7000 is below 0.8"]


def test_a_weak_slice_stops_what_is_good_on_the_whole() -> None:
    labels = [0] * 180 + [1] * 20
    right = [True] * 180 + [False] * 15 + [True] * 5
    verdict = judge(evaluation(right, labels), None, GATES)
    (failed,) = [c for c in verdict.checks if not c.passed]
    assert failed.name == "slice class=b"
    assert "0.250 of 20 is below 0.5" in failed.reason


def test_a_small_slice_is_not_judged() -> None:
    labels = [0] * 180 + [1] * 19
    right = [True] * 180 + [False] * 19
    assert judge(evaluation(right, labels), None, GATES).passed


def test_significantly_worse_than_the_champion_is_stopped() -> None:
    champion = evaluation(_share(98, 100), bundle="a")
    worse = judge(evaluation(_share(85, 100)), champion, GATES)
    assert not worse.passed
    assert any("significantly worse than its 0.980" in c.reason for c in worse.checks)
    a_little = judge(evaluation(_share(96, 100)), champion, GATES)
    assert a_little.passed


def test_losing_one_class_for_another_is_seen_by_slice() -> None:
    labels = [0] * 100 + [1] * 100
    champion = evaluation([True] * 80 + [False] * 20 + [True] * 90 + [False] * 10, labels, "a")
    candidate = evaluation([True] * 100 + [True] * 65 + [False] * 35, labels)
    verdict = judge(candidate, champion, GATES)
    assert [c.name for c in verdict.checks if not c.passed] == ["champion on class=b"]


def test_other_samples_cannot_be_compared() -> None:
    verdict = judge(evaluation(_share(90, 100)), evaluation(_share(90, 99), bundle="a"), GATES)
    assert [c.name for c in verdict.checks if not c.passed] == ["champion"]


def test_what_is_not_a_number_never_passes() -> None:
    broken = evaluation(_share(100, 100))
    nothing = Evaluation(
        **{
            **{name: getattr(broken, name) for name in broken.__slots__},
            "metrics": dict.fromkeys(broken.metrics, math.nan),
        }
    )
    assert not judge(nothing, None, GATES).passed
    unknown = Gates({"mAP": 0.1}, 0.05, 20, 0.5)
    (check,) = [c for c in judge(broken, None, unknown).checks if not c.passed]
    assert "mAP is not measured; measured: accuracy" in check.reason


def test_what_must_not_be_large_stops_it_by_metric_and_by_fact() -> None:
    limits = {"log_loss": 1.0, "latency_p95_ms": 20.0, "bundle_mib": 1.0}
    gates = Gates({"accuracy": 0.8}, 0.05, 20, 0.5, at_most=limits)
    good = evaluation(_share(90, 100))
    verdict = judge(good, None, gates, facts={"latency_p95_ms": 20.5, "bundle_mib": 1.0})
    failed = [c.reason for c in verdict.checks if not c.passed]
    assert failed == ["latency_p95_ms 20.5 is above 20"]
    unmeasured = judge(good, None, gates, facts={"latency_p95_ms": math.nan})
    assert {c.name for c in unmeasured.checks if not c.passed} == {"latency_p95_ms", "bundle_mib"}
    robust = Gates({"mean_corruption_accuracy": 0.5}, 0.05, 20, 0.5)
    assert "set robustness in [evaluation]" in judge(good, None, robust).summary
    assert judge(good, None, robust, facts={"mean_corruption_accuracy": 0.6}).passed


def test_a_slice_that_is_named_is_held_to_its_own_limit_however_small() -> None:
    labels, right = [0] * 90 + [1] * 10, [True] * 90 + [True] * 8 + [False] * 2
    named = Gates({}, 0.05, 20, 0.9, slices={"class=b": 0.75, "camera=phone": 0.5})
    verdict = judge(evaluation(right, labels), None, named)
    failed = {c.name: c.reason for c in verdict.checks if not c.passed}
    assert list(failed) == ["slice camera=phone"]
    assert "it has class=a, class=b, origin=labelled" in failed["slice camera=phone"]
    strict = Gates({}, 0.05, 20, 0.9, slices={"class=b": 0.85})
    assert (
        "class=b 0.800 of 10 is below 0.85"
        in judge(evaluation(right, labels), None, strict).summary
    )


def test_equal_models_are_rarely_called_worse() -> None:
    """The stated level: of candidates exactly as good, at most 5% may be stopped for it."""
    generator = np.random.default_rng(0)
    stopped = 0
    for _ in range(400):
        new, old = (evaluation(list(generator.random(100) < 0.9), bundle=b) for b in "ba")
        checks = judge(new, old, GATES).checks
        stopped += not next(c for c in checks if c.name == "champion").passed
    # 20 are expected at most; 35 is three and a half standard deviations more.
    assert stopped <= 35


def test_an_evaluation_is_stored_once_and_cannot_be_changed(tmp_path: Path) -> None:
    made = evaluation(_share(5, 10))
    digest = save(tmp_path, made)
    assert save(tmp_path, made) == digest
    again = load(tmp_path, digest)
    assert (again.samples, again.metrics) == (made.samples, made.metrics)
    assert np.array_equal(again.values, made.values)
    path = tmp_path / f"{digest}.json"
    path.write_text(path.read_text().replace("labelled", "laballed"))
    with pytest.raises(Refused, match="changed after it was stored"):
        load(tmp_path, digest)


def test_what_an_earlier_version_stored_is_read_as_it_was_meant(tmp_path: Path) -> None:
    told: dict[str, Json] = {
        "bundle": "b",
        "snapshot": "s",
        "classes": ["a", "b"],
        "samples": ["1", "2"],
        "labels": [0, 0],
        "origins": ["x", "x"],
        "probabilities": [[0.75, 0.25], [None, None]],
        "metrics": {"accuracy": 0.5, "log_loss": None},
    }
    digest = digest_json(told)
    (tmp_path / f"{digest}.json").write_bytes(canonical_json(told))
    found = load(tmp_path, digest)
    assert found.labels == ("a", "a") and found.quality == "accuracy"
    assert found.qualities.tolist() == [1.0, 0.0] and found.values.shape == (2, 2)


@given(st.integers(0, 200), st.integers(1, 200))
def test_an_interval_holds_its_share(right: int, more: int) -> None:
    low, high = wilson(right, right + more)
    assert -1e-12 <= low <= right / (right + more) + 1e-12
    assert right / (right + more) <= high <= 1


def test_metrics_are_the_textbooks() -> None:
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3], [0.1, 0.9]], np.float32)
    metrics = TASK.score(probabilities, np.array([0, 1, 1, 1]))
    assert metrics["accuracy"] == 0.75
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 0.8) / 2)
    logs = [0.8, 0.6, 0.3, 0.9]
    assert metrics["log_loss"] == pytest.approx(-sum(map(math.log, logs)) / 4, rel=1e-6)
    gaps = (0.2 + 0.4 + 0.7 + 0.1) / 4
    assert metrics["expected_calibration_error"] == pytest.approx(gaps, abs=1e-6)
