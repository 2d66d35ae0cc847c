"""Monitoring: a stated false-alarm rate that holds, and drift that is seen and weighed."""

from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from everloop.errors import Refused
from everloop.monitoring.accuracy import estimate, estimate_from_sketch
from everloop.monitoring.drift import Drift, compare
from everloop.monitoring.reference import Known, Reference, build_reference, read_reference
from everloop.monitoring.watch import Watch
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
    drawn = generator.random((count, 1))
    labels = (drawn > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return probabilities.astype(np.float32), embeddings.astype(np.float32), labels


def _bytes(seed: int, count: int = 300, *, known: bool = True) -> bytes:
    probabilities, embeddings, labels = _world(seed, count)
    given, training, _ = _world(seed + 10_000, 400)
    right = probabilities.argmax(axis=1) == labels
    more = Known(TASK, given, {}, {}, labels) if known else None
    return build_reference(probabilities, embeddings, right, training, more)


@lru_cache(maxsize=128)
def _reference(seed: int, count: int = 300, *, known: bool = True) -> Reference:
    return read_reference(_bytes(seed, count, known=known))


def _drift(
    reference: Reference, probabilities: NDArray[np.float32], embeddings: NDArray[np.float32]
) -> Drift:
    watch = Watch(reference, TASK)
    return compare(watch, watch.sketch(watch.see(probabilities, embeddings, {})), RATE)


def test_without_a_change_alarms_are_as_rare_as_stated() -> None:
    alarms = {True: 0, False: 0}
    for trial in range(60):
        probabilities, embeddings, _ = _world(50_000 + trial, 80)
        for known in alarms:
            drift = _drift(_reference(trial, known=known), probabilities, embeddings)
            alarms[known] += drift.drifted
    # At most 3 are expected of each; 10 is four standard deviations more.
    assert max(alarms.values()) <= 10


def test_a_change_is_seen_and_named() -> None:
    probabilities, embeddings, _ = _world(1, 80, shift=3.0)
    drift = _drift(_reference(0), probabilities, embeddings)
    assert drift.drifted
    assert drift.feature.startswith("embedding axis")
    assert drift.p_value < 1e-6


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0, 4.0])
def test_where_confidence_means_what_it_says_the_estimate_follows_the_truth(
    sharpness: float,
) -> None:
    errors = []
    for seed in range(8):
        probabilities, _, labels = _world(100 + seed, 1000, sharpness=sharpness)
        true = float((probabilities.argmax(axis=1) == labels).mean())
        found = estimate(_reference(seed, 600), probabilities, TASK)
        errors.append(found.calibrated - true)
        assert found.value == min(found.calibrated, found.thresholded, found.moved)
    assert abs(float(np.mean(errors))) < 0.03


def test_the_threshold_is_less_taken_in_by_a_model_too_sure_of_itself() -> None:
    found, true = [], []
    for seed in range(8):
        probabilities, _, labels = _world(100 + seed, 1000, sharpness=0.7)
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
    assert _bytes(3, 50) == _bytes(3, 50)
    whole = _bytes(3, 50)
    with pytest.raises(Refused, match="cannot be read"):
        read_reference(whole[: len(whole) // 2])
    with pytest.raises(Refused, match="cannot be read"):
        read_reference(b"\x80\x04cposix\nsystem\n.")


def test_a_bundle_of_an_older_version_is_watched_by_what_it_has() -> None:
    old = Watch(_reference(0, known=False), TASK)
    assert old.reference.profile is None
    assert "embedding axis 0" in old.profile.grid.names
    probabilities, embeddings, _ = _world(1, 80, shift=3.0)
    assert _drift(old.reference, probabilities, embeddings).drifted


def test_both_sides_of_the_snapshot_travel_with_the_bundle() -> None:
    profile = _reference(0).profile
    assert profile is not None
    assert (profile.train.answers, profile.holdout.answers) == (400, 300)
    assert profile.confusion.sum() == 300


def test_a_sketch_estimates_what_its_answers_do() -> None:
    watch = Watch(_reference(0, 600), TASK)
    probabilities, embeddings, _ = _world(1, 2000, sharpness=1.0)
    from_answers = estimate(watch.reference, probabilities, TASK)
    from_sketch = estimate_from_sketch(
        watch, watch.sketch(watch.see(probabilities, embeddings, {}))
    )
    assert from_sketch.thresholded == pytest.approx(from_answers.thresholded, abs=0.01)
    assert from_sketch.calibrated == pytest.approx(from_answers.calibrated, abs=1e-6)
