"""Business signals: what events say answers have earned, now beside before, canary beside champion.

Of each event the mean a answer earned is compared by Welch's test (1947) on all answers, those that
earned nothing too; the level is split over the comparisons (Bonferroni). An alarm is a loss that is
larger than its limit even at the end of its interval.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist

from everloop.ids import PredictionId
from everloop.monitoring.finding import Finding
from everloop.monitoring.served import Served

Events = Mapping[PredictionId, Mapping[str, float]]
_EVENTS = 20
"""So many are judged."""
_FEWEST = 30
"""Answers on either side, below which nothing is judged."""


@dataclass(frozen=True, slots=True)
class Earned:
    """What the answers of one side have earned of one event."""

    answers: int
    mean: float
    variance: float


def earned(parts: Sequence[Served], events: Events, name: str) -> Earned:
    """Of one event, each answer counted, also those that earned nothing."""
    answers = sum(part.answers for part in parts)
    values = [
        value
        for part in parts
        for each in part.ids
        if (value := events.get(each, {}).get(name)) is not None
    ]
    if not answers:
        return Earned(0, 0.0, 0.0)
    mean = sum(values) / answers
    squares = sum(value * value for value in values) / answers
    return Earned(answers, mean, max(0.0, squares - mean * mean))


def business_findings(
    now: Sequence[Served],
    before: Sequence[Served],
    events: Events,
    *,
    most_loss: float,
    false_alarm_rate: float,
    since: datetime,
) -> tuple[Finding, ...]:
    """Of the commonest events the champion beside before, and each other role beside it.

    `most_loss`: the share of what was earned that may be lost.
    """
    names = _commonest((*now, *before), events)
    roles = sorted({part.role for part in now} - {"champion"})
    level = false_alarm_rate / max(1, len(names) * (1 + len(roles)))
    found = []
    for name in names:
        champion = earned(_of(now, "champion"), events, name)
        past = earned(_of(before, "champion"), events, name)
        found.append(_compared(f"business-{name}", name, champion, past, "before", most_loss,
                               level, since))  # fmt: skip
        for role in roles:
            other = earned(_of(now, role), events, name)
            found.append(_compared(f"business-{name}-{role}", name, other, champion,
                                   "the champion", most_loss, level, since, role))  # fmt: skip
    return tuple(found)


def _commonest(parts: Sequence[Served], events: Events) -> list[str]:
    """The events that most answers have: clients name them, and may name very many."""
    counts = Counter(n for part in parts for i in part.ids for n in events.get(i, {}))
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    return sorted(ordered[:_EVENTS])


def _of(parts: Sequence[Served], role: str) -> list[Served]:
    return [part for part in parts if part.role == role]


def _compared(
    signal: str, name: str, one: Earned, other: Earned, beside: str, most: float, level: float,
    since: datetime, role: str = "champion",
) -> Finding:  # fmt: skip
    told = f"{name}: {one.mean:.4g} an answer of the {role}, {other.mean:.4g} of {beside}"
    limit = other.mean * (1 - most)
    if min(one.answers, other.answers) < _FEWEST or other.mean <= 0:
        return Finding(signal, "calm", f"{told} (too few to judge)", one.mean)
    spread = (one.variance / one.answers + other.variance / other.answers) ** 0.5
    best = one.mean - other.mean + NormalDist().inv_cdf(1 - level) * spread
    if best >= -most * other.mean:
        return Finding(signal, "calm", told, one.mean, limit)
    return Finding(signal, "alarm", told, one.mean, limit, since, f"role={role}",
                   cause="business", action="everloop releases show")  # fmt: skip
