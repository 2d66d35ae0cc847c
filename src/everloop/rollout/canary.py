"""Is a candidate as healthy as the champion? A pure analysis that may be looked at any time.

Each signal has a sequential test (`rollout.sequential`) at an equal part of the allowed rate of
false alarms, split over the signals and the steps of the rollout (Bonferroni). So a candidate
within all limits is sent back with at most that chance, however often this is asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, log
from typing import Literal

from everloop.policy import RolloutPolicy
from everloop.rollout.figures import Beside, ServedFigures
from everloop.rollout.sequential.classes import largest_shift
from everloop.rollout.sequential.difference import Rate, least_excess
from everloop.rollout.sequential.pairs import log_evidence_worse
from everloop.rollout.sequential.quantile import quantile, quantile_interval
from everloop.rollout.sequential.rate import log_evidence_above

_SHORTEST_MS = 20.0
"""Below this a latency is noise of the machine, not a property of the model."""
_QUANTILES = (0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the figures say."""

    verdict: Literal["wait", "healthy", "breached"]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a candidate is held to."""

    policy: RolloutPolicy
    classes: int
    """How many classes there may be among the answers."""
    alpha: float
    """Of each signal's test."""
    like_champion: bool = True
    """Whether the champion's own answers are a measure: not when it is held to be harmed."""


def limits_of(
    policy: RolloutPolicy, *, steps: int, classes: int, like_champion: bool = True
) -> Limits:
    """The limits of one step of a rollout of so many steps."""
    alpha = policy.false_alarm_rate / (len(SIGNALS) * steps)
    return Limits(policy, classes, alpha, like_champion)


def analyse(beside: Beside | None, limits: Limits, signals: tuple[str, ...] = ()) -> Analysis:
    """Judge the candidate's figures beside the champion's, both of the same time.

    A breach is told as soon as there is enough evidence of it; that nothing is wrong is told once
    the candidate answered what the policy asks for. `signals`: only these are judged.
    """
    if beside is None or not beside.challenger.requests:
        return Analysis("wait", ("it has served nothing yet",))
    found = {name: SIGNALS[name](beside, limits) for name in signals or SIGNALS}
    breaches = tuple(f"{name}: {why}" for name, why in found.items() if why)
    if breaches:
        return Analysis("breached", breaches)
    told = summary(beside)
    if missing := _missing(beside.challenger, limits.policy):
        return Analysis("wait", (*missing, told))
    return Analysis("healthy", (told,))


def _missing(challenger: ServedFigures, policy: RolloutPolicy) -> tuple[str, ...]:
    missing = []
    if challenger.requests < policy.min_requests:
        missing.append(f"{challenger.requests} of {policy.min_requests} requests served")
    known = int(challenger.wrong.trials)
    if known < policy.min_labelled:
        missing.append(f"the truth of {known} of {policy.min_labelled} answers is known")
    return tuple(missing)


def summary(beside: Beside) -> str:
    """The candidate's figures in one line."""
    one, pairs = beside.challenger, beside.pairs
    parts = [f"{one.requests} requests, {one.errors} errors"]
    if one.answered:
        parts.append(f"95% within {quantile(one.latency, 0.95):.1f} ms")
        parts.append(f"confidence {one.confidences.value:.3f}")
    if pairs.pairs:
        parts.append(f"{pairs.differ} of {pairs.pairs} otherwise than the champion")
    if one.wrong.trials:
        parts.append(f"{one.wrong.successes:.0f} of {one.wrong.trials:.0f} labelled wrong")
    return ", ".join(parts)


def _errors(beside: Beside, limits: Limits) -> str | None:
    one, most = beside.challenger, limits.policy.max_error_rate
    chance = _above(one.errors, one.requests, most, limits.alpha)
    if chance is None:
        return None
    return f"{one.errors} of {one.requests} requests failed, more than {most:.1%} ({chance})"


def _above(successes: float, trials: float, most: float, alpha: float) -> str | None:
    """How likely it is at most that chance alone looks like more than `most`; None: too likely."""
    evidence = float(log_evidence_above(successes, trials, most))
    return _chance(evidence) if evidence >= -log(alpha) else None


def _latency(beside: Beside, limits: Limits) -> str | None:
    alpha, most = limits.alpha / (2 * len(_QUANTILES)), limits.policy.max_latency_ratio
    for share in _QUANTILES:
        low, _ = quantile_interval(beside.challenger.latency, share, alpha)
        _, high = quantile_interval(beside.champion.latency, share, alpha)
        if low > max(most * high, _SHORTEST_MS):
            return (
                f"{share:.0%} within {quantile(beside.challenger.latency, share):.1f} ms (at least "
                f"{low:.1f}), the champion's within {quantile(beside.champion.latency, share):.1f} "
                f"ms (at most {high:.1f}): more than {most:g} times"
            )
    return None


def _confidence(beside: Beside, limits: Limits) -> str | None:
    if not limits.like_champion:
        return None
    one, two = beside.challenger.confidences, beside.champion.confidences
    drop, most = least_excess(two, one, limits.alpha), limits.policy.max_confidence_drop
    if drop <= most:
        return None
    return (
        f"mean confidence {one.value:.3f}, the champion's {two.value:.3f}: at least {drop:.3f} "
        f"lower, at most {most:g} is allowed"
    )


def _disagreement(beside: Beside, limits: Limits) -> str | None:
    pairs, most = beside.pairs, limits.policy.max_disagreement
    if not limits.like_champion or most >= 1:
        return None
    chance = _above(pairs.differ, pairs.pairs, most, limits.alpha)
    if chance is None:
        return None
    return (
        f"{pairs.differ} of {pairs.pairs} copies answered otherwise than by the champion, more "
        f"than {most:.0%} ({chance})"
    )


def _answers(beside: Beside, limits: Limits) -> str | None:
    if not limits.like_champion:
        return None
    most = limits.policy.max_answer_shift
    shift = largest_shift(
        beside.challenger.answers, beside.champion.answers, limits.classes, limits.alpha
    )
    if shift is None or shift.least <= most:
        return None
    return (
        f"{shift.label!r} is {shift.first:.1%} of its answers and {shift.second:.1%} of the "
        f"champion's: at least {shift.least:.1%} apart, at most {most:.1%} is allowed"
    )


def _labels(beside: Beside, limits: Limits) -> str | None:
    pairs, most = beside.pairs, limits.policy.max_accuracy_loss
    one, two = beside.challenger.wrong, beside.champion.wrong
    if pairs.labelled:
        return _labelled_pairs(beside, limits)
    loss = least_excess(one, two, limits.alpha)
    if loss <= most:
        return None
    return (
        f"{one.successes:.0f} of {one.trials:.0f} labelled answers were wrong, of the champion's "
        f"{two.successes:.0f} of {two.trials:.0f}: at least {loss:.1%} more, at most {most:.1%} "
        "is allowed"
    )


def _labelled_pairs(beside: Beside, limits: Limits) -> str | None:
    pairs = beside.pairs
    evidence = log_evidence_worse(pairs.only_challenger_wrong, pairs.only_champion_wrong)
    if evidence < -log(limits.alpha):
        return None
    return (
        f"of {pairs.labelled} labelled copies it alone was wrong on {pairs.only_challenger_wrong}, "
        f"the champion alone on {pairs.only_champion_wrong} ({_chance(evidence)})"
    )


def _classes(beside: Beside, limits: Limits) -> str | None:
    one, two, most = beside.challenger, beside.champion, limits.policy.max_class_loss
    labels = sorted({*one.labelled, *two.labelled})
    # What is seen of the classes does not choose how alpha is split.
    alpha = limits.alpha / max(limits.classes, len(labels))
    for label in labels:
        wrong, other = one.wrong_of(label), two.wrong_of(label)
        loss = least_excess(wrong, other, alpha)
        if loss > most:
            return (
                f"on {label!r} {wrong.successes:.0f} of {wrong.trials:.0f} labelled answers were "
                f"wrong, of the champion's {other.successes:.0f} of {other.trials:.0f}: at least "
                f"{loss:.1%} more, at most {most:.1%} is allowed"
            )
    return None


def _event(beside: Beside, limits: Limits) -> str | None:
    policy = limits.policy
    if not policy.event:
        return None
    one, two = (earned(side, policy) for side in (beside.challenger, beside.champion))
    loss = least_excess(two, one, limits.alpha)
    if loss <= policy.max_event_loss:
        return None
    return (
        f"{policy.event!r} is {one.value * policy.event_most:.3g} an answer, the champion's "
        f"{two.value * policy.event_most:.3g}: at least {loss:.1%} of the most less, at most "
        f"{policy.max_event_loss:.1%} is allowed"
    )


def earned(side: ServedFigures, policy: RolloutPolicy) -> Rate:
    """What an answer earned of the policy's event, in parts of the most it can earn."""
    total = side.events.get(policy.event, 0.0) / policy.event_most
    return Rate(min(max(total, 0.0), side.answered), side.answered)


def _chance(evidence: float) -> str:
    """What the evidence is worth: by Ville's inequality chance alone gives it no more often."""
    return f"chance at most {exp(-evidence):.2g}"


SIGNALS: Mapping[str, Callable[[Beside, Limits], str | None]] = {
    "errors": _errors,
    "latency": _latency,
    "confidence": _confidence,
    "disagreement": _disagreement,
    "answers": _answers,
    "labels": _labels,
    "classes": _classes,
    "event": _event,
}
"""Every signal, with what it finds: a breach in words and figures, or nothing."""

OWN = ("errors", "latency")
"""What a champion is held to whatever the traffic is."""

LASTING = (*OWN, "labels", "classes", "event")
"""What a new champion is still held to beside the one before, which served at another time."""
