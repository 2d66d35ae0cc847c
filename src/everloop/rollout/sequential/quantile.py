"""A quantile, such as the 99th percentile of a latency, watched without end.

Howard and Ramdas (2022), "Sequential estimation of quantiles with applications to A/B testing and
best-arm identification", Bernoulli 28: what is at most the p-quantile has rate p, so the bounds
of a rate, turned round, are bounds of the quantile, free of any assumption on the distribution.
Here with the beta-binomial mixture of `rate`, and over a histogram: a bound is the edge of its
bucket that is further away, so buckets cost width, never validity.
"""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GROWTH = 2 ** (1 / 16)
"""Each bucket's upper edge is 4.4% above its lower one."""


def bucket(value: float) -> int:
    """The bucket of a positive value: it is above `GROWTH ** (bucket - 1)`, at most the next edge.

    >>> GROWTH ** (bucket(12.0) - 1) < 12.0 <= GROWTH ** bucket(12.0)
    True
    """
    return math.ceil(math.log(max(value, 1e-9)) / math.log(GROWTH))


def histogram(values: Iterable[float]) -> dict[int, int]:
    """How many values lie in each bucket."""
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket(value)] = counts.get(bucket(value), 0) + 1
    return counts


def quantile(counts: Mapping[int, int], share: float) -> float:
    """The quantile as observed, rounded up to its bucket's edge; NaN of nothing."""
    total, seen = sum(counts.values()), 0
    for index in sorted(counts):
        seen += counts[index]
        if seen >= share * total:
            return float(GROWTH**index)
    return math.nan


def quantile_interval(counts: Mapping[int, int], share: float, alpha: float) -> tuple[float, float]:
    """Bounds of the quantile at `share`; with chance 1 - alpha they hold at all times at once.

    0 and infinity while too little is known.

    >>> low, high = quantile_interval(histogram([10.0] * 900 + [50.0] * 100), 0.95, 0.05)
    >>> 40 < low <= 50 <= high < 55
    True
    """
    total = sum(counts.values())
    fewest, most = _counts_below(total, share, alpha)
    low, high, seen = 0.0, math.inf, 0
    for index in sorted(counts):
        before, seen = seen, seen + counts[index]
        if before < fewest <= seen:
            low = float(GROWTH ** (index - 1))
        if before <= most < seen:
            high = float(GROWTH**index)
    return low, high


def _counts_below(total: int, share: float, alpha: float) -> tuple[int, int]:
    """How many of `total` values may lie at or below the quantile: the fewest and the most."""
    import numpy as np

    k: NDArray[np.int64] = np.arange(total + 1)
    plausible = np.flatnonzero(_evidence(k, total, share) < -np.log(alpha))
    return int(plausible[0]), int(plausible[-1])


def _evidence(successes: "NDArray[np.int64]", trials: int, limit: float) -> "NDArray[np.float64]":
    import numpy as np
    from scipy.special import betaln, xlog1py, xlogy

    s, rest = successes.astype(np.float64), trials - successes.astype(np.float64)
    evidence: NDArray[np.float64] = (
        betaln(0.5 + s, 0.5 + rest) - betaln(0.5, 0.5) - xlogy(s, limit) - xlog1py(rest, -limit)
    )
    return evidence
