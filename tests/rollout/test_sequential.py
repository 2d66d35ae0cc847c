"""The sequential tests: false alarms at most alpha however often one peeks, and useful power."""

import doctest
import importlib
import pkgutil
from math import log, sqrt

import numpy as np
import pytest
from tests.rollout import simulated as sim

import everloop.rollout.sequential
from everloop.rollout.sequential.quantile import histogram, quantile_interval
from everloop.rollout.sequential.rate import interval, log_evidence_above

MODULES = [module.name for module in pkgutil.iter_modules(everloop.rollout.sequential.__path__)]


def _at_most_alpha(found: sim.Peeked, rollouts: int) -> bool:
    """Alarms within what chance allows above alpha: three standard errors."""
    return found.alarms <= sim.ALPHA + 3 * sqrt(sim.ALPHA * (1 - sim.ALPHA) / rollouts)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_formulas_hold(name: str) -> None:
    module = importlib.import_module(f"everloop.rollout.sequential.{name}")
    result = doctest.testmod(module)
    assert result.attempted and not result.failed


def test_a_test_of_fixed_size_raises_false_alarms_when_peeked_at_and_this_one_does_not() -> None:
    from scipy.stats import binom

    failed = np.random.default_rng(0).random((200, 1500)) < 0.01
    counts, times = failed.cumsum(axis=1), np.arange(1, 1501)
    naive = (binom.sf(counts - 1, times, 0.01) < sim.ALPHA).any(axis=1).mean()
    ours = (log_evidence_above(counts, times, 0.01) >= -log(sim.ALPHA)).any(axis=1).mean()
    assert naive > 0.2
    assert ours <= sim.ALPHA


@pytest.mark.parametrize("true", [0.002, 0.01])
def test_a_canary_within_its_error_limit_is_rarely_accused(true: float) -> None:
    found = sim.error_rate(true, 0.01, rollouts=300, requests=1000, seed=1)
    assert _at_most_alpha(found, 300)


def test_a_canary_that_fails_is_found_soon() -> None:
    often = sim.error_rate(0.5, 0.01, rollouts=200, requests=300, seed=2)
    assert (often.alarms, often.median_at < 10) == (1.0, True)
    seldom = sim.error_rate(0.05, 0.01, rollouts=200, requests=1500, seed=3)
    assert seldom.alarms > 0.98 and seldom.median_at < 400


def test_latency_as_slow_as_allowed_is_let_be_and_slower_is_found() -> None:
    even = sim.latency(1.5, 1.5, 0.95, rollouts=60, requests=600, seed=4)
    assert _at_most_alpha(even, 60)
    slow = sim.latency(3.0, 1.5, 0.95, rollouts=20, requests=600, seed=5)
    assert slow.alarms == 1.0


def test_two_rates_apart_by_the_margin_are_let_be_and_further_ones_are_found() -> None:
    even = sim.two_rates(0.12, 0.1, 0.02, share=0.2, rollouts=200, requests=1000, seed=6)
    assert _at_most_alpha(even, 200)
    worse = sim.two_rates(0.4, 0.1, 0.02, share=0.2, rollouts=100, requests=1000, seed=7)
    assert worse.alarms == 1.0 and worse.median_at < 300


def test_pairs_need_few_labels() -> None:
    even = sim.labelled_pairs(0.1, 0.1, rollouts=100, labels=500, seed=8)
    assert _at_most_alpha(even, 100)
    worse = sim.labelled_pairs(0.3, 0.1, rollouts=60, labels=500, seed=9)
    assert worse.alarms == 1.0 and worse.median_at < 150


def test_a_class_that_vanishes_from_the_answers_is_found_and_equal_answers_are_let_be() -> None:
    even = sim.answers([0.1] * 10, [0.1] * 10, 0.0, rollouts=20, requests=500, seed=10)
    assert even.alarms == 0.0
    gone = sim.answers([0.0, 0.4, 0.3, 0.3], [0.3, 0.1, 0.3, 0.3], 0.1, rollouts=10,
                       requests=1000, seed=11)  # fmt: skip
    assert gone.alarms == 1.0


def test_bounds_of_a_mean_hold_for_anything_between_0_and_1() -> None:
    """Fractional successes: uniform confidences have mean 1/2 and are no Bernoulli draws."""
    values = np.random.default_rng(12).random((150, 400)).cumsum(axis=1)
    low, high = interval(values, np.arange(1, 401), sim.ALPHA)
    missed = ((low > 0.5) | (high < 0.5)).any(axis=1).mean()
    assert missed <= sim.ALPHA


def test_nothing_is_known_of_nothing() -> None:
    low, high = interval(0, 0, 0.05)
    assert (float(low), float(high)) == (0.0, 1.0)
    assert quantile_interval({}, 0.95, 0.05) == (0.0, float("inf"))
    assert quantile_interval(histogram([3.0]), 0.95, 0.05)[1] == float("inf")


def test_a_quantile_is_within_its_bounds_at_every_look() -> None:
    random = np.random.default_rng(13)
    missed = 0
    for _ in range(60):
        values = random.exponential(10.0, 600)
        truth = 10 * log(20)
        looks = [quantile_interval(histogram(values[:n]), 0.95, 0.05) for n in range(20, 601, 40)]
        missed += any(not low <= truth <= high for low, high in looks)
    assert missed <= 6
