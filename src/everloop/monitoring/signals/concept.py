"""Concept drift: labels that came later say that answers are wrong more often than they were.

An e-detector for the mean of errors (Shin, Ramdas and Rinaldo 2023, "E-detectors"; its bets after
Waudby-Smith and Ramdas 2024): each label multiplies the stake by `1 + b (error - p)`, where `p` is
the largest error rate that the hold-out leaves plausible; the stake never falls below 1 (as CUSUM
does), and the mean over several bets `b` is a detector too. Where errors come at most at the rate
`p`, the mean number of labels until a false alarm is at least `1 / rate`, however often one looks,
which River's detectors do not state; whoever wants one of those has them in `river_errors`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from everloop.evaluation.intervals import wilson
from everloop.monitoring.finding import Finding

NAME = "concept-drift"
_BETS = (0.05, 0.1, 0.2, 0.4)
"""As parts of the largest that cannot lose everything."""


@dataclass(frozen=True, slots=True)
class Detected:
    """What the errors say."""

    evidence: float
    """An alarm from `limit` on. Of the e-detector it is the stake."""
    limit: float
    alarm: int | None
    """The number of the label that raised it."""
    since: int
    """The number of the label with which the errors began to be too many."""


Detector = Callable[[Sequence[bool], float, float], Detected]
"""What looks for a change in errors, as `detect` does."""


def detect(errors: Sequence[bool], usual: float, rate: float) -> Detected:
    """Run through errors in the order their answers were given; stops at the alarm.

    `usual` is the largest plausible rate of errors without a change, `rate` that of false alarms
    by label.

    >>> detect([False] * 50 + [True] * 10, 0.1, 0.001).alarm
    56
    """
    usual = min(max(usual, 1e-3), 1 - 1e-3)
    stakes, begins = [1.0] * len(_BETS), [0] * len(_BETS)
    evidence, since = 1.0, 0
    for place, error in enumerate(errors):
        for bet, part in enumerate(_BETS):
            if stakes[bet] <= 1.0:
                stakes[bet], begins[bet] = 1.0, place
            stakes[bet] *= 1 + part / usual * (float(error) - usual)
        best = max(range(len(_BETS)), key=stakes.__getitem__)
        evidence, since = sum(stakes) / len(stakes), begins[best]
        if evidence >= 1 / rate:
            return Detected(evidence, 1 / rate, place, since)
    return Detected(evidence, 1 / rate, None, since)


def concept_drift(
    errors: Sequence[bool],
    right: int,
    held_out: int,
    rate: float,
    *,
    input_changed: bool,
    detector: Detector = detect,
) -> tuple[Finding, Detected]:
    """`alarm` where known labels say so. `right` of the `held_out` answers were right.

    Where the input did not change, it is the meaning of labels that did.
    """
    usual = 1 - wilson(right, held_out)[0]
    found = detector(errors, usual, rate)
    if found.alarm is None:
        told = f"{sum(errors)} of {len(errors)} labelled answers were wrong"
        return Finding(NAME, "calm", told, value=found.evidence, limit=found.limit), found
    after = errors[found.since :]
    return Finding(
        NAME,
        "alarm",
        f"{sum(after)} of the last {len(after)} labelled answers were wrong, at most {usual:.1%} "
        "on the hold-out",
        value=found.evidence,
        limit=found.limit,
        cause="input" if input_changed else "concept",
        action="label what is new, and learn again",
    ), found
