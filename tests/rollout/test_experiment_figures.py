"""Variants beside the champion: what is called better is, however often one looks."""

import numpy as np
import pytest
from tests.rollout import simulated as sim

from everloop.policy import RolloutPolicy
from everloop.rollout.experiment import compare, deciding, policy_of
from everloop.rollout.figures import Beside, ServedFigures
from everloop.rollout.sequential.quantile import histogram

POLICY = policy_of(RolloutPolicy(), "bought", 10.0)


def _side(requests: int, bought: float = 0.0, errors: int = 0, wrong: int = 0) -> ServedFigures:
    return ServedFigures(
        requests=requests,
        errors=errors,
        latency=histogram([5.0] * (requests - errors)),
        confidence=0.9 * (requests - errors),
        labelled={"cat": (requests - errors, wrong)},
        events={"bought": bought},
    )


def _findings(one: ServedFigures, two: ServedFigures) -> dict[str, str | None]:
    return {name: found.finding for name, found in compare(Beside(one, two), POLICY, 2).items()}


def test_each_measure_is_told_by_itself_and_in_the_right_direction() -> None:
    found = _findings(_side(900, 6000, errors=200, wrong=10), _side(900, 3000, wrong=200))
    assert found == {
        "errors": "worse",
        "latency": "not told apart yet",
        "confidence": None,
        "labels": "better",
        "event": "better",
    }
    back = _findings(_side(900, 3000, wrong=200), _side(900, 6000, errors=200, wrong=10))
    assert (back["errors"], back["labels"], back["event"]) == ("better", "worse", "worse")


def test_the_events_mean_is_in_its_own_unit_within_its_bounds() -> None:
    found = compare(Beside(_side(400, 1000), _side(400, 1000)), POLICY, 1)["event"]
    assert found.variant.value == 2.5
    assert 0 <= found.variant.low < 2.5 < found.variant.high <= 10


def test_nothing_is_told_apart_before_anything_was_served() -> None:
    assert set(_findings(ServedFigures(), ServedFigures()).values()) == {
        "not told apart yet", None
    }  # fmt: skip


@pytest.mark.parametrize(("event", "decides"), [("bought", "event"), ("", "labels")])
def test_the_event_decides_where_one_is_named(event: str, decides: str) -> None:
    policy = policy_of(RolloutPolicy(), event, 1.0)
    assert deciding(policy) == decides
    assert ("event" in compare(Beside(_side(9), _side(9)), policy, 1)) == bool(event)


def test_equal_variants_are_told_apart_no_more_often_than_stated_though_one_peeks() -> None:
    """Three variants like the champion, looked at 8 times each in 30 experiments."""
    random = np.random.default_rng(5)
    alarms = 0
    for _ in range(30):
        bought = random.random((4, 600)).cumsum(axis=1)
        wrong = (random.random((4, 600)) < 0.2).cumsum(axis=1)
        alarms += any(
            found.finding not in {"not told apart yet", None}
            for n in range(74, 600, 75)
            for variant in (1, 2, 3)
            for found in compare(
                Beside(
                    _side(n + 1, 10 * bought[variant, n], wrong=int(wrong[variant, n])),
                    _side(n + 1, 10 * bought[0, n], wrong=int(wrong[0, n])),
                ),
                POLICY,
                3,
            ).values()
        )
    # Of 30 at 5% each: more than 5 with a chance below 1%.
    assert alarms <= 5


def test_variants_are_told_apart_where_they_differ_and_not_where_they_do_not() -> None:
    assert sim.told_apart(0.1, 0.1, experiments=200, answers=10_000, seed=6).alarms <= sim.ALPHA
    found = sim.told_apart(0.15, 0.1, experiments=100, answers=10_000, seed=7)
    assert found.alarms >= 0.95 and found.median_at < 5000
