"""The rule under which a model's answers may be taken for labels."""

import numpy as np
import pytest

from everloop.labelling.prelabel import Rule, calibrate


def test_a_sure_and_right_model_is_taken_at_its_word_and_the_rule_says_on_what_it_rests() -> None:
    random = np.random.default_rng(0)
    sure = random.random(1000)
    right = sure > 0.2
    rule = calibrate(sure, right, 0.99)
    assert rule.threshold is not None and 0.15 < rule.threshold < 0.45
    assert rule.wrong == 0 and rule.accepted >= 600
    assert f"0 of {rule.accepted} wrong on the hold-out" in rule.summary
    assert Rule.of(rule.as_json()) == rule


@pytest.mark.parametrize(
    ("samples", "wrong_share", "why"),
    [(80, 0.0, "no confidence shows a precision of 0.99 on 80"), (2000, 0.05, "wrong above")],
)
def test_too_few_samples_or_too_many_mistakes_let_nothing_through(
    samples: int, wrong_share: float, why: str
) -> None:
    random = np.random.default_rng(1)
    right = random.random(samples) >= wrong_share
    rule = calibrate(random.random(samples), right, 0.99)
    assert rule.threshold is None and why in rule.summary


def test_answers_without_a_confidence_or_all_alike_are_no_ground() -> None:
    assert calibrate(np.full(500, np.nan), np.ones(500, bool), 0.9).threshold is None
    assert calibrate(np.array([]), np.array([], bool), 0.9).threshold is None
    # All the same confidence: taken all together or not at all.
    assert calibrate(np.ones(500), np.ones(500, bool), 0.95).accepted == 500


def test_scaling_the_confidences_changes_nothing_of_what_is_taken() -> None:
    random = np.random.default_rng(2)
    sure = random.random(800)
    right = random.random(800) < 0.8 + 0.2 * (sure > 0.5)
    first, second = calibrate(sure, right, 0.95), calibrate(sure**3, right, 0.95)
    assert (first.accepted, first.wrong) == (second.accepted, second.wrong)
    assert first.accepted > 200


def test_the_promise_is_broken_as_rarely_as_it_says() -> None:
    """Models right in just under the promise anywhere: in at most 5% of hold-outs one is taken."""
    random = np.random.default_rng(3)
    taken = 0
    for _ in range(400):
        # The worst case: every threshold misses the promise by little.
        right = random.random(600) < 0.949
        taken += calibrate(random.random(600), right, 0.95).threshold is not None
    # 20 are allowed; five standard deviations above that are 42.
    assert taken <= 42
