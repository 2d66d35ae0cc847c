"""The canary's analysis: wait, go on, or back."""

import math

from everloop.data.predictions import ServedFigures
from everloop.rollout.canary import CanaryLimits, analyse

LIMITS = CanaryLimits(
    min_requests=100,
    max_error_rate=0.01,
    max_latency_ratio=3,
    max_confidence_drop=0.2,
    significance=0.05,
)
CHAMPION = ServedFigures(1000, 0, 30.0, 0.9)


def test_nothing_served_yet_is_waited_for() -> None:
    assert analyse(None, CHAMPION, LIMITS).verdict == "wait"
    assert analyse(ServedFigures(0, 0, math.nan, math.nan), CHAMPION, LIMITS).verdict == "wait"
    few = analyse(ServedFigures(99, 0, 30, 0.9), CHAMPION, LIMITS)
    assert (few.verdict, few.reasons) == ("wait", ("99 of 100 requests served",))


def test_as_good_as_the_champion_is_healthy() -> None:
    told = analyse(ServedFigures(100, 0, 31, 0.88), CHAMPION, LIMITS)
    assert told.verdict == "healthy"
    assert "100 requests, 0 errors, 95% within 31.0 ms, confidence 0.880" in told.reasons


def test_failures_breach_before_the_last_request_is_in() -> None:
    assert analyse(ServedFigures(10, 6, 30, 0.9), CHAMPION, LIMITS).verdict == "breached"
    # One failure in ten may be chance at a limit of 1%: p = 0.096.
    assert analyse(ServedFigures(10, 1, 30, 0.9), CHAMPION, LIMITS).verdict == "wait"


def test_slow_or_unsure_is_breached_with_both_figures() -> None:
    slow = analyse(ServedFigures(100, 0, 95, 0.9), CHAMPION, LIMITS)
    assert slow.verdict == "breached"
    assert "3.2 times, at most 3 are allowed" in slow.reasons[0]
    unsure = analyse(ServedFigures(100, 0, 30, 0.6), CHAMPION, LIMITS)
    assert unsure.verdict == "breached"
    assert "0.300 lower" in unsure.reasons[0]


def test_a_few_milliseconds_are_no_breach() -> None:
    fast = ServedFigures(1000, 0, 1.0, 0.9)
    assert analyse(ServedFigures(100, 0, 15, 0.9), fast, LIMITS).verdict == "healthy"
