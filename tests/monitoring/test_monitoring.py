"""Monitoring: a stated false-alarm rate that holds, and drift that is seen and weighed."""

import numpy as np
import pytest
from numpy.typing import NDArray

from everloop.errors import Refused
from everloop.monitoring.accuracy import estimate
from everloop.monitoring.drift import compare
from everloop.monitoring.reference import Reference, build_reference, read_reference
from everloop.tasks.image_classification import ImageClassification

RATE = 0.05
TASK = ImageClassification("abcd", size=(4, 4), channels=1)
_AXES = np.random.default_rng(5).normal(0, 1, (4, 16))


def _world(
    seed: int, count: int, *, shift: float = 0.0, sharpness: float = 2.0
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities, embeddings and labels of `count` samples; labels drawn as calibrated."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, sharpness, (count, 4))
    embeddings = (logits + shift) @ _AXES + generator.normal(0, 0.3, (count, 16))
    odds = np.exp(logits)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(4, p=row) for row in probabilities])
    return probabilities.astype(np.float32), embeddings.astype(np.float32), labels


def _reference(seed: int, count: int = 300) -> Reference:
    probabilities, embeddings, labels = _world(seed, count)
    _, training, _ = _world(seed + 10_000, 400)
    right = probabilities.argmax(axis=1) == labels
    return read_reference(build_reference(probabilities, embeddings, right, training))


def test_without_a_change_alarms_are_as_rare_as_stated() -> None:
    alarms = 0
    for trial in range(300):
        probabilities, embeddings, _ = _world(50_000 + trial, 80)
        alarms += compare(_reference(trial), probabilities, embeddings, RATE, TASK).drifted
    # At most 15 are expected; 30 is four standard deviations more.
    assert alarms <= 30


def test_a_change_is_seen_and_named() -> None:
    probabilities, embeddings, _ = _world(1, 80, shift=3.0)
    drift = compare(_reference(0), probabilities, embeddings, RATE, TASK)
    assert drift.drifted
    assert drift.feature.startswith("embedding axis")
    assert drift.p_value < 1e-6


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0, 4.0])
def test_where_confidence_means_what_it_says_the_estimate_follows_the_truth(
    sharpness: float,
) -> None:
    errors = []
    for seed in range(20):
        probabilities, _, labels = _world(100 + seed, 400, sharpness=sharpness)
        true = float((probabilities.argmax(axis=1) == labels).mean())
        found = estimate(_reference(seed, 600), probabilities, TASK)
        errors.append(found.calibrated - true)
        assert found.value == min(found.calibrated, found.thresholded)
    assert abs(float(np.mean(errors))) < 0.03


def test_the_threshold_is_less_taken_in_by_a_model_too_sure_of_itself() -> None:
    found, true = [], []
    for seed in range(20):
        probabilities, _, labels = _world(100 + seed, 400, sharpness=0.7)
        sharpened = probabilities**2 / (probabilities**2).sum(axis=1, keepdims=True)
        found.append(estimate(_reference(seed, 600), sharpened.astype(np.float32), TASK))
        true.append(float((probabilities.argmax(axis=1) == labels).mean()))
    too_high = np.mean([f.calibrated for f in found]) - np.mean(true)
    assert too_high > 0.1
    assert np.mean([f.thresholded for f in found]) - np.mean(true) < too_high - 0.05


def test_on_the_holdout_itself_the_estimate_is_its_accuracy() -> None:
    probabilities, embeddings, labels = _world(3, 300)
    right = probabilities.argmax(axis=1) == labels
    reference = read_reference(build_reference(probabilities, embeddings, right, embeddings))
    found = estimate(reference, probabilities, TASK)
    assert found.value == pytest.approx(reference.accuracy, abs=0.01)
    assert found.sure_drop < 0.01


def test_a_small_window_is_not_called_harmful_on_thin_evidence() -> None:
    reference = _reference(0, 600)
    probabilities, _, _ = _world(1, 2000, sharpness=1.0)
    large = estimate(reference, probabilities, TASK)
    small = estimate(reference, probabilities[:10], TASK)
    assert large.sure_drop > 0.05
    assert small.sure_drop < large.sure_drop


def test_the_reference_is_the_same_bytes_again_and_nothing_is_unpickled() -> None:
    probabilities, embeddings, labels = _world(3, 50)
    right = probabilities.argmax(axis=1) == labels
    training = _world(4, 50)[1]
    made = [build_reference(probabilities, embeddings, right, training) for _ in range(2)]
    assert made[0] == made[1]
    with pytest.raises(Refused, match="cannot be read"):
        read_reference(b"\x80\x04cposix\nsystem\n.")
