"""The variants of an A/B test beside the champion: bounds that hold at any time, and what they say.

Every figure has a confidence sequence (`rollout.sequential`). All of them, of all measures, of all
variants and of the champion, have an equal part of one error rate (Bonferroni), so with chance
`1 - rate` all bounds hold at all times at once. A variant is called better or worse where its
bounds and the champion's do not meet; so the chance that anything it is ever called is wrong is at
most that rate too, however often this is looked at and whenever the test is ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from everloop.policy import RolloutPolicy
from everloop.rollout.canary import earned
from everloop.rollout.figures import Beside, ServedFigures
from everloop.rollout.sequential.difference import Rate
from everloop.rollout.sequential.quantile import quantile, quantile_interval
from everloop.rollout.sequential.rate import interval

_SLOW = 0.95


@dataclass(frozen=True, slots=True)
class Bounded:
    """A figure and its bounds; NaN before anything is known."""

    value: float
    low: float
    high: float


Finding = Literal["better", "worse", "not told apart yet"]


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure of a variant beside the champion's."""

    variant: Bounded
    champion: Bounded
    finding: Finding | None
    """None: neither more nor less of it is better."""


def policy_of(policy: RolloutPolicy, event: str, most: float) -> RolloutPolicy:
    """The policy, with an experiment's own event in place of the rollouts'."""
    return policy.model_copy(update={"event": event, "event_most": most})


def compare(beside: Beside, policy: RolloutPolicy, variants: int) -> Mapping[str, Compared]:
    """Each measure of one of so many variants beside the champion's, over the same time.

    The error rate of everything that is said of all variants together is the policy's
    `false_alarm_rate`.
    """
    alpha = policy.false_alarm_rate / (len(MORE_IS_BETTER) * (variants + 1))
    ones, twos = (_bounded(side, policy, alpha) for side in (beside.challenger, beside.champion))
    return {
        name: Compared(ones[name], twos[name], _finding(ones[name], twos[name], better))
        for name, better in MORE_IS_BETTER.items()
        if name in ones
    }


def deciding(policy: RolloutPolicy) -> str:
    """The measure that says which variant is better: the event where one is named, else labels."""
    return "event" if policy.event else "labels"


def _finding(one: Bounded, two: Bounded, more_is_better: bool | None) -> Finding | None:
    if more_is_better is None:
        return None
    if one.low > two.high:
        return "better" if more_is_better else "worse"
    if one.high < two.low:
        return "worse" if more_is_better else "better"
    return "not told apart yet"


def _bounded(side: ServedFigures, policy: RolloutPolicy, alpha: float) -> Mapping[str, Bounded]:
    """Every measure of one side, with bounds that hold at all times with chance `1 - alpha`."""
    rates = {
        "errors": Rate(side.errors, side.requests),
        "confidence": side.confidences,
        "labels": side.wrong,
    }
    if policy.event:
        rates["event"] = earned(side, policy)
    lows, highs = interval(
        [rate.successes for rate in rates.values()], [rate.trials for rate in rates.values()], alpha
    )
    found = {
        name: Bounded(rate.value, float(low), float(high))
        for (name, rate), low, high in zip(rates.items(), lows, highs, strict=True)
    }
    if mean := found.get("event"):
        most = policy.event_most
        found["event"] = Bounded(mean.value * most, mean.low * most, mean.high * most)
    slow = quantile_interval(side.latency, _SLOW, alpha)
    return {**found, "latency": Bounded(quantile(side.latency, _SLOW), *slow)}


MORE_IS_BETTER: Mapping[str, bool | None] = {
    "errors": False,
    "latency": False,
    "confidence": None,
    "labels": False,
    "event": True,
}
"""The measures: the error rate; the 95th percentile in ms; the mean confidence; the part of the
labelled answers that was wrong; the event's mean an answer. None: neither way is better."""
