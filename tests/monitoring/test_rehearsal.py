"""Damage that was rehearsed: the estimate knows what it costs, and what it does not know."""

import numpy as np
import pytest

from everloop.errors import Refused
from everloop.monitoring.period import Limits, weigh
from everloop.monitoring.reference import Known, build_reference, read_reference
from everloop.monitoring.rehearsal import Rehearsal, Tried, read_rehearsal, rehearse
from everloop.monitoring.watch import Watch
from everloop.tasks.image_classification import ImageClassification

TASK = ImageClassification("abcd", size=(4, 4), channels=1)
LIMITS = Limits(0.05, 0.05, tuple("abcd"))
_AXES = np.random.default_rng(5).normal(0, 1, (4, 16))


def _tried(seed: int, count: int, *, damage: float = 0.0, way: int = 0) -> Tried:
    """Answers that are as sure as ever under damage, and wrong more often; labels are drawn from
    what a model that is not taken in would say."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, 4))
    given = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    honest = np.exp(logits / (1 + damage))
    honest /= honest.sum(axis=1, keepdims=True)
    labels = (random.random((count, 1)) > honest.cumsum(axis=1)[:, :-1]).sum(axis=1)
    embeddings = logits @ _AXES + random.normal(0, 0.3, (count, 16))
    embeddings[:, way] += 2 * damage
    right = given.argmax(axis=1) == labels
    return Tried(given.astype(np.float32), embeddings.astype(np.float32), {}, right)


@pytest.fixture(scope="module")
def reference() -> bytes:
    train, held = _tried(1, 800), _tried(2, 600)
    known = Known(TASK, train.values, {}, {})
    return build_reference(held.values, held.embeddings, held.correct, train.embeddings, known)


@pytest.fixture(scope="module")
def watch(reference: bytes) -> Watch:
    return Watch(read_reference(reference), TASK)


@pytest.fixture(scope="module")
def rehearsal(watch: Watch) -> Rehearsal:
    spoilt = [_tried(3, 500, damage=strength) for strength in (0.5, 1.5, 3.0)]
    return rehearse(watch, _tried(3, 500), spoilt)


def _off(watch: Watch, rehearsal: Rehearsal | None, tried: Tried) -> tuple[float, float]:
    """Estimated less true accuracy, and how much of the damage was rehearsed."""
    live = Watch(watch.reference, TASK, rehearsal)
    sketch = live.sketch(live.see(tried.values, tried.embeddings, {}))
    told = weigh(live, sketch, LIMITS, tried.values).accuracy
    return told.value - float(tried.correct.mean()), told.rehearsed


@pytest.mark.parametrize("damage", [1.0, 2.0])
def test_damage_like_what_was_rehearsed_is_estimated_although_confidence_sees_none(
    watch: Watch, rehearsal: Rehearsal, damage: float
) -> None:
    live = _tried(11, 1500, damage=damage)
    blind, _ = _off(watch, None, live)
    seeing, known = _off(watch, rehearsal, live)
    assert blind > 0.12
    assert abs(seeing) < 0.05
    assert known > 0.6


def test_without_damage_the_estimate_stays_as_it_was(watch: Watch, rehearsal: Rehearsal) -> None:
    live = _tried(12, 1500)
    assert _off(watch, rehearsal, live)[0] == pytest.approx(_off(watch, None, live)[0], abs=0.03)


def test_what_was_never_rehearsed_is_told_as_unknown(watch: Watch, rehearsal: Rehearsal) -> None:
    _, like = _off(watch, rehearsal, _tried(13, 1500, damage=2.0))
    _, unlike = _off(watch, rehearsal, _tried(13, 1500, damage=-8.0, way=3))
    assert unlike < like / 2


def test_a_rehearsal_travels_in_the_reference_and_a_broken_one_is_refused(
    reference: bytes, rehearsal: Rehearsal
) -> None:
    data = rehearsal.added_to(reference)
    assert data == rehearsal.added_to(reference)
    assert read_reference(data).accuracy == read_reference(reference).accuracy
    read = read_rehearsal(data)
    assert read is not None
    assert np.array_equal(read.moved, rehearsal.moved, equal_nan=True)
    assert read_rehearsal(reference) is None
    broken = Rehearsal(rehearsal.spread, rehearsal.moved[:1], rehearsal.off)
    with pytest.raises(Refused, match="has not the shape"):
        read_rehearsal(broken.added_to(reference))
