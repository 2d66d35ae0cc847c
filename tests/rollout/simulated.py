"""Simulated rollouts in which a sequential test is looked at after every step.

`python -m tests.rollout.simulated` prints the table in docs/rollout.md.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from everloop.rollout.experiment import MORE_IS_BETTER
from everloop.rollout.sequential.classes import largest_shift
from everloop.rollout.sequential.difference import Rate, least_excess
from everloop.rollout.sequential.pairs import log_evidence_worse
from everloop.rollout.sequential.quantile import bucket, quantile_interval
from everloop.rollout.sequential.rate import interval, log_evidence_above

ALPHA = 0.05


@dataclass(frozen=True)
class Peeked:
    """Of many rollouts, each peeked at again and again: how many alarms, and how early."""

    alarms: float
    median_at: float
    """Requests of the canary until the alarm; infinite when fewer than half had one."""


def _peeked(first: NDArray[np.float64]) -> Peeked:
    return Peeked(float(np.isfinite(first).mean()), float(np.median(first)))


def _first(hit: NDArray[np.bool_], times: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(hit.any(axis=1), times[hit.argmax(axis=1)], np.inf)


def error_rate(true: float, limit: float, *, rollouts: int, requests: int, seed: int) -> Peeked:
    """Failures of one bundle against a limit, looked at after every request."""
    failed = np.random.default_rng(seed).random((rollouts, requests)) < true
    times = np.arange(1, requests + 1)
    evidence = log_evidence_above(failed.cumsum(axis=1), times, limit)
    return _peeked(_first(evidence >= -math.log(ALPHA), times))


def two_rates(
    canary: float, champion: float, margin: float, *, share: float, rollouts: int, requests: int,
    seed: int,
) -> Peeked:  # fmt: skip
    """A rate of the canary above the champion's by more than `margin`; looked at every 10."""
    random = np.random.default_rng(seed)
    rest = round(requests * (1 - share) / share)
    one = (random.random((rollouts, requests)) < canary).cumsum(axis=1)
    two = (random.random((rollouts, rest)) < champion).cumsum(axis=1)
    times = np.arange(10, requests + 1, 10)
    beside = np.minimum(np.maximum((times / share * (1 - share)).astype(int), 1), rest)
    low, _ = interval(one[:, times - 1], times, ALPHA / 2)
    _, high = interval(two[:, beside - 1], beside, ALPHA / 2)
    assert math.isclose(
        float(low[0, -1] - high[0, -1]),
        least_excess(
            Rate(float(one[0, times[-1] - 1]), float(times[-1])),
            Rate(float(two[0, beside[-1] - 1]), float(beside[-1])),
            ALPHA,
        ),
    )
    return _peeked(_first(low - high > margin, times))


def _each(rollouts: int, look: Callable[[np.random.Generator], float], seed: int) -> Peeked:
    random = np.random.default_rng(seed)
    return _peeked(np.array([look(random) for _ in range(rollouts)]))


def latency(
    slower: float, allowed: float, share: float, *, rollouts: int, requests: int, seed: int
) -> Peeked:
    """A quantile of log-normal latencies above `allowed` times the champion's; every 20."""

    def look(random: np.random.Generator) -> float:
        one: dict[int, int] = {}
        two: dict[int, int] = {}
        for at in range(20, requests + 1, 20):
            for counts, scale in ((one, 30.0 * slower), (two, 30.0)):
                for value in random.lognormal(math.log(scale), 0.4, 20):
                    counts[bucket(value)] = counts.get(bucket(value), 0) + 1
            low, _ = quantile_interval(one, share, ALPHA / 2)
            _, high = quantile_interval(two, share, ALPHA / 2)
            if low > allowed * high:
                return at
        return math.inf

    return _each(rollouts, look, seed)


def answers(
    canary: list[float], champion: list[float], allowed: float, *, rollouts: int, requests: int,
    seed: int,
) -> Peeked:  # fmt: skip
    """The share of some class moved by more than `allowed`; both serve alike; every 50."""
    names = [str(n) for n in range(len(canary))]

    def look(random: np.random.Generator) -> float:
        one, two = np.zeros(len(names), int), np.zeros(len(names), int)
        for at in range(50, requests + 1, 50):
            one += random.multinomial(50, canary)
            two += random.multinomial(50, champion)
            counts = dict(zip(names, one.tolist(), strict=True))
            shift = largest_shift(counts, dict(zip(names, two.tolist(), strict=True)),
                                  len(names), ALPHA)  # fmt: skip
            if shift is not None and shift.least > allowed:
                return at
        return math.inf

    return _each(rollouts, look, seed)


def told_apart(
    variant: float, champion: float, *, experiments: int, answers: int, seed: int
) -> Peeked:
    """An event that a variant of two earns at another rate than the champion; every 100."""
    random = np.random.default_rng(seed)
    times = np.arange(100, answers + 1, 100)
    alpha = ALPHA / (len(MORE_IS_BETTER) * 3)

    def bounds(rate: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        earned = random.binomial(100, rate, (experiments, len(times))).cumsum(axis=1)
        return interval(earned, times, alpha)

    (low, high), (other_low, other_high) = bounds(variant), bounds(champion)
    return _peeked(_first((low > other_high) | (high < other_low), times))


def labelled_pairs(
    canary_wrong: float, champion_wrong: float, *, rollouts: int, labels: int, seed: int
) -> Peeked:
    """Both asked the same; each label looked at. Errors of the two are independent."""

    def look(random: np.random.Generator) -> float:
        one, two = random.random(labels) < canary_wrong, random.random(labels) < champion_wrong
        worse, better = (one & ~two).cumsum(), (two & ~one).cumsum()
        for at in range(labels):
            if (one[at] != two[at]) and log_evidence_worse(
                int(worse[at]), int(better[at])
            ) >= -math.log(ALPHA):
                return at + 1
        return math.inf

    return _each(rollouts, look, seed)


_SWAPPED = [0.0, 0.2] + [0.1] * 8

TABLE: tuple[tuple[str, str, Callable[[], Peeked]], ...] = (
    ("errors, limit 1%", "true rate 1%",
     lambda: error_rate(0.01, 0.01, rollouts=2000, requests=3000, seed=1)),
    ("errors, limit 1%", "true rate 2%",
     lambda: error_rate(0.02, 0.01, rollouts=500, requests=3000, seed=2)),
    ("errors, limit 1%", "true rate 10%",
     lambda: error_rate(0.10, 0.01, rollouts=500, requests=3000, seed=3)),
    ("errors, limit 1%", "true rate 50%",
     lambda: error_rate(0.50, 0.01, rollouts=500, requests=3000, seed=4)),
    ("latency p95, at most 1.5 times", "1.5 times",
     lambda: latency(1.5, 1.5, 0.95, rollouts=200, requests=2000, seed=5)),
    ("latency p95, at most 1.5 times", "3 times",
     lambda: latency(3.0, 1.5, 0.95, rollouts=200, requests=2000, seed=6)),
    ("wrong labels, at most 2 points more", "2 points more, share 10%",
     lambda: two_rates(0.12, 0.10, 0.02, share=0.1, rollouts=500, requests=3000, seed=7)),
    ("wrong labels, at most 2 points more", "20 points more, share 10%",
     lambda: two_rates(0.30, 0.10, 0.02, share=0.1, rollouts=300, requests=3000, seed=8)),
    ("wrong labels on copies", "as often wrong",
     lambda: labelled_pairs(0.1, 0.1, rollouts=400, labels=1500, seed=9)),
    ("wrong labels on copies", "20% instead of 10%",
     lambda: labelled_pairs(0.2, 0.1, rollouts=300, labels=1500, seed=10)),
    ("a variant of two, by an event, as many answers each", "10% each",
     lambda: told_apart(0.10, 0.10, experiments=500, answers=20_000, seed=13)),
    ("a variant of two, by an event, as many answers each", "15% instead of 10%",
     lambda: told_apart(0.15, 0.10, experiments=300, answers=20_000, seed=14)),
    ("a variant of two, by an event, as many answers each", "12% instead of 10%",
     lambda: told_apart(0.12, 0.10, experiments=300, answers=40_000, seed=15)),
    ("answers, a class by at most 5 points", "none moved, of 10",
     lambda: answers([0.1] * 10, [0.1] * 10, 0.05, rollouts=200, requests=2000, seed=11)),
    ("answers, a class by at most 5 points", "one called another, of 10",
     lambda: answers(_SWAPPED, [0.1] * 10, 0.05, rollouts=100, requests=6000, seed=12)),
)  # fmt: skip


def main() -> None:
    """Print the table."""
    print("| test (alpha 5%) | the truth | alarms | requests or labels, median |")  # noqa: T201
    print("| --- | --- | --- | --- |")  # noqa: T201
    for test, truth, simulate in TABLE:
        found = simulate()
        at = f"{found.median_at:.0f}" if math.isfinite(found.median_at) else "-"
        print(f"| {test} | {truth} | {found.alarms:.1%} | {at} |")  # noqa: T201


if __name__ == "__main__":
    main()
