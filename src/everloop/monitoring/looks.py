"""Looking often without raising more false alarms: the rate is spent over the looks.

A period that still runs is looked at when it has 20 answers, and each time they have doubled. The
look with the number `k` gets the part `1 / (k (k + 1))` of the stated rate (alpha spending: Lan and
DeMets 1983); the parts add up to it at most, so the chance that any look of a period without a
change fires is at most the stated rate, however many there are (a union bound: the looks may depend
on each other as they like).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from everloop.monitoring.drift import Drift, compare
from everloop.monitoring.profile import Seen
from everloop.monitoring.watch import Watch

FIRST = 20
"""Answers of the first look."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """The first look that fired."""

    answers: int
    drift: Drift


def looks(answers: int) -> Iterator[tuple[int, float]]:
    """The looks at so many answers: at how many of them, and with what part of the rate.

    >>> [(size, round(part, 3)) for size, part in looks(100)]
    [(20, 0.5), (40, 0.167), (80, 0.083)]
    """
    number, size = 1, FIRST
    while size <= answers:
        yield size, 1 / (number * (number + 1))
        number, size = number + 1, 2 * size


def first_alarm(watch: Watch, found: Seen, rate: float) -> Alarm | None:
    """The first look that fires at the answers of a period so far; None where none does."""
    answers = len(found.projected)
    for size, part in looks(answers):
        drift = compare(watch, watch.sketch(_first(found, size)), rate * part)
        if drift.drifted:
            return Alarm(size, drift)
    return None


def _first(found: Seen, size: int) -> Seen:
    inputs = {name: values[:size] for name, values in found.inputs.items()}
    return replace(found.part(slice(size)), inputs=inputs)
