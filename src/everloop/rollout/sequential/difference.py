"""Two rates beside each other, each with its own count of trials, watched without end.

Each rate has a confidence sequence at alpha / 2 (see `rate`); with chance 1 - alpha both hold at
all times, and so does what they say together of the difference (union bound). The two counts may
grow in any order and at any speed, which a canary with a small share needs.
"""

from dataclasses import dataclass

from everloop.rollout.sequential.rate import interval


@dataclass(frozen=True, slots=True)
class Rate:
    """So many successes in so many trials; fractional successes for a mean of [0, 1]."""

    successes: float
    trials: float

    @property
    def value(self) -> float:
        """The rate; NaN without trials."""
        return self.successes / self.trials if self.trials else float("nan")


def least_excess(first: Rate, second: Rate, alpha: float) -> float:
    """By how much at least the first rate is above the second; negative when it may not be.

    The chance that this is ever more than the true difference is at most alpha.

    >>> round(least_excess(Rate(90, 100), Rate(100, 1000), 0.05), 2)
    0.62
    >>> least_excess(Rate(12, 100), Rate(100, 1000), 0.05) < 0
    True
    """
    low, _ = interval(first.successes, first.trials, alpha / 2)
    _, high = interval(second.successes, second.trials, alpha / 2)
    return float(low) - float(high)
