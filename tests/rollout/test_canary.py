"""The candidate's analysis: wait, go on, or back; each signal by its own sequential test."""

from dataclasses import replace

import numpy as np
import pytest
from tests.support.simulation import served

from everloop.policy import RolloutPolicy
from everloop.rollout.canary import SIGNALS, Analysis, Limits, analyse, limits_of
from everloop.rollout.figures import Beside, PairFigures, ServedFigures

POLICY = RolloutPolicy(max_error_rate=0.01, max_latency_ratio=3, max_confidence_drop=0.2)
CHAMPION = served(1000, latency_ms=30.0)


def _limits(**changes: object) -> Limits:
    policy = RolloutPolicy.model_validate({**POLICY.model_dump(), **changes})
    return limits_of(policy, steps=2, classes=10)


def _judge(challenger: ServedFigures, champion: ServedFigures = CHAMPION) -> Analysis:
    return analyse(Beside(challenger, champion), _limits())


def test_nothing_served_yet_is_waited_for() -> None:
    assert analyse(None, _limits()).verdict == "wait"
    assert _judge(ServedFigures()).verdict == "wait"
    few = _judge(served(99, latency_ms=30))
    assert (few.verdict, few.reasons[0]) == ("wait", "99 of 100 requests served")


def test_as_good_as_the_champion_is_healthy() -> None:
    told = _judge(served(100, latency_ms=31, confidence=0.88))
    assert told.verdict == "healthy"
    assert "100 requests, 0 errors, 95% within 32.0 ms, confidence 0.880" in told.reasons


def test_failures_breach_before_the_last_request_is_in() -> None:
    failing = _judge(served(10, 6))
    assert failing.verdict == "breached"
    assert "errors: 6 of 10 requests failed, more than 1.0%" in failing.reasons[0]
    # One failure in ten may be chance at a limit of 1%.
    assert _judge(served(10, 1)).verdict == "wait"


def test_slow_or_unsure_is_breached_with_both_figures() -> None:
    slow = _judge(served(300, latency_ms=200))
    assert slow.verdict == "breached"
    assert "latency: 95% within 206.1 ms" in slow.reasons[0]
    assert "more than 3 times" in slow.reasons[0]
    unsure = _judge(served(300, latency_ms=30, confidence=0.4))
    assert unsure.verdict == "breached"
    assert "mean confidence 0.400, the champion's 0.900" in unsure.reasons[0]


def test_a_few_milliseconds_are_no_breach() -> None:
    assert _judge(served(1000, latency_ms=15), served(1000, latency_ms=1)).verdict == "healthy"


def test_answers_of_one_class_only_are_a_breach_unless_the_champion_is_no_measure() -> None:
    many = replace(CHAMPION, answers={str(n): 100 for n in range(10)})
    one = replace(served(500), answers={"3": 500})
    told = analyse(Beside(one, many), _limits())
    assert told.verdict == "breached"
    assert "answers: '3' is 100.0% of its answers and 10.0% of the champion's" in told.reasons[0]
    harmed = replace(_limits(), like_champion=False)
    assert analyse(Beside(one, many), harmed).verdict == "healthy"


def test_a_shadow_that_disagrees_too_often_is_breached() -> None:
    pairs = PairFigures(pairs=400, differ=300)
    told = analyse(Beside(served(400), CHAMPION, pairs), _limits())
    assert told.verdict == "breached"
    assert "300 of 400 copies answered otherwise" in told.reasons[0]


def test_labels_that_come_later_tell_who_is_worse() -> None:
    one = replace(served(500), labelled={"a": (100, 70), "b": (100, 10)})
    two = replace(CHAMPION, labelled={"a": (400, 20), "b": (400, 40)})
    told = analyse(Beside(one, two), _limits())
    assert [reason.partition(":")[0] for reason in told.reasons] == ["labels", "classes"]
    assert "80 of 200 labelled answers were wrong" in told.reasons[0]


def test_wrong_on_one_class_only_is_found_though_the_whole_looks_well() -> None:
    one = replace(served(3000), labelled={"a": (60, 45), **dict.fromkeys("bcdefghij", (300, 6))})
    two = replace(CHAMPION, labelled=dict.fromkeys("abcdefghij", (300, 9)))
    told = analyse(Beside(one, two), _limits())
    assert told.verdict == "breached"
    (reason,) = told.reasons
    assert reason.startswith("classes: on 'a' 45 of 60 labelled answers were wrong")


def test_labelled_copies_are_compared_pair_by_pair() -> None:
    pairs = PairFigures(200, 40, 120, only_challenger_wrong=30, only_champion_wrong=2)
    labelled = replace(served(200), labelled={"a": (120, 32)})
    beside = Beside(labelled, replace(CHAMPION, labelled={"a": (120, 4)}), pairs)
    told = analyse(beside, _limits())
    assert "of 120 labelled copies it alone was wrong on 30" in told.reasons[0]


def test_a_business_figure_that_falls_is_a_breach() -> None:
    one = replace(served(2000), events={"accepted": 800.0})
    two = replace(served(2000), events={"accepted": 1400.0})
    assert analyse(Beside(one, two), _limits()).verdict == "healthy", "nobody asked about it"
    told = analyse(Beside(one, two), _limits(event="accepted"))
    assert told.verdict == "breached"
    assert "'accepted' is 0.4 an answer, the champion's 0.7" in told.reasons[0]


def test_labels_can_be_waited_for() -> None:
    told = analyse(Beside(served(500), CHAMPION), _limits(min_labelled=20))
    assert told.verdict == "wait"
    assert told.reasons[0] == "the truth of 0 of 20 answers is known"


def test_a_candidate_like_the_champion_is_rarely_sent_back_however_often_one_looks() -> None:
    """All signals together, looked at after every 25 requests: at most 5% false alarms."""
    random, limits, alarms, rollouts = np.random.default_rng(1), _limits(), 0, 40
    for _ in range(rollouts):
        one, two = ServedFigures(), ServedFigures()
        for _ in range(8):
            one, two = _more(random, one, 25), _more(random, two, 100)
            if analyse(Beside(one, two), limits).verdict == "breached":
                alarms += 1
                break
    assert alarms <= 0.05 * rollouts


def _more(random: np.random.Generator, so_far: ServedFigures, requests: int) -> ServedFigures:
    more = served(requests, int(random.binomial(requests, 0.01)), 30.0)
    answers = random.multinomial(more.answered, [0.1] * 10).tolist()
    return ServedFigures(
        requests=so_far.requests + more.requests,
        errors=so_far.errors + more.errors,
        latency={k: so_far.latency.get(k, 0) + n for k, n in more.latency.items()},
        answers={str(k): so_far.answers.get(str(k), 0) + n for k, n in enumerate(answers)},
        confidence=so_far.confidence + more.confidence,
    )


def test_each_signal_has_an_equal_part_of_the_false_alarms() -> None:
    assert limits_of(POLICY, steps=2, classes=2).alpha == pytest.approx(0.05 / (2 * len(SIGNALS)))
