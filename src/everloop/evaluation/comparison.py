"""Two models on the same samples: is one worse, or was it chance?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.evaluation.evaluate import Evaluation
from everloop.evaluation.resampling import interval, metric_draws
from everloop.tasks.task import Scorer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FLIPS = 9_999
_ALL = 13
"""Up to so many pairs every way of flipping is counted: 8,192."""
_MANY = 2_000
"""From so many pairs on the mean is as good as normal."""
_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Difference:
    """What a candidate has more of a metric than the champion, on the same samples."""

    candidate: float
    champion: float
    low: float
    """95% interval of the difference, by the paired bootstrap: both ends, NaN where there is
    none."""
    high: float
    p_lower: float
    """One-sided p-value of "the candidate has no less of it", by the same draws; NaN likewise."""

    @property
    def told(self) -> str:
        """What may be said of it: `higher`, `lower`, or `not told apart` (from chance)."""
        if self.low > 0:
            return "higher"
        return "lower" if self.high < 0 else "not told apart"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate beside the champion."""

    test: str
    """Which test the p-values are of."""
    quality: str
    p_worse: float
    """P-value of "its answers are no worse", one-sided."""
    p_better: float
    """P-value of "its answers are no better", one-sided."""
    differences: Mapping[str, Difference]
    """By metric."""


def compare(
    candidate: Evaluation, champion: Evaluation, task: Scorer, *, resampled: bool = True
) -> Comparison | None:
    """The comparison; None where they were not measured on the same samples.

    `resampled`: whether differences come with intervals, which costs most of the time.
    """
    if candidate.samples != champion.samples or candidate.labels != champion.labels:
        return None
    rows = range(len(candidate.samples))
    exact = candidate.right_or_wrong and champion.right_or_wrong
    return Comparison(
        test="McNemar's exact test" if exact else "paired permutation test",
        quality=candidate.quality,
        p_worse=p_worse(candidate, champion, rows),
        p_better=p_worse(champion, candidate, rows),
        differences=_differences(candidate, champion, task if resampled else None),
    )


def p_worse(candidate: Evaluation, champion: Evaluation, rows: Sequence[int]) -> float:
    """P-value of "no worse", one-sided, on some rows.

    Where answers are right or wrong by McNemar's exact test (McNemar 1947): those on which one
    alone is right are fair coins. Elsewhere by the paired permutation test of the mean quality
    (Fisher 1935): which of the two gave which answer is a fair coin. Figures that are not numbers
    are no proof of anything, least of all of being no worse: 0.
    """
    import numpy as np
    from scipy.stats import binomtest

    apart = candidate.qualities[list(rows)] - champion.qualities[list(rows)]
    if not np.isfinite(apart).all():
        return 0.0
    lost, won = int((apart < 0).sum()), int((apart > 0).sum())
    if lost + won == 0:
        return 1.0
    if candidate.right_or_wrong and champion.right_or_wrong:
        return float(binomtest(lost, lost + won, 0.5, alternative="greater").pvalue)
    return below_zero(apart)


def below_zero(apart: "NDArray[np.float64]") -> float:
    """P-value of "the mean of these differences is not below zero".

    Of all ways to flip their signs up to 13 differences; of 9,999 drawn (seeded, and the one seen
    counted in: Phipson and Smyth 2010) up to 2,000; beyond by the paired t-test, which is the same
    by then.
    """
    import numpy as np
    from scipy.stats import ttest_1samp

    apart = apart[apart != 0]
    if len(apart) > _MANY:
        return float(ttest_1samp(apart, 0.0, alternative="less").pvalue)
    seen = float(apart.sum())
    # Sums of the same figures in another order differ in their last digits.
    bound = seen + 1e-9 * float(np.abs(apart).sum())
    if len(apart) <= _ALL:
        ways = (np.arange(2 ** len(apart))[:, None] >> np.arange(len(apart))) & 1
        return float(((2.0 * ways - 1) @ apart <= bound).mean())
    generator, low = np.random.default_rng(0), 0
    step = max(1, _AT_ONCE // len(apart))
    for start in range(0, _FLIPS, step):
        count = min(step, _FLIPS - start)
        signs = generator.integers(0, 2, (count, len(apart)), dtype=np.int8) * 2.0 - 1
        low += int((signs @ apart <= bound).sum())
    return (low + 1) / (_FLIPS + 1)


def _differences(
    candidate: Evaluation, champion: Evaluation, task: Scorer | None
) -> Mapping[str, Difference]:
    new: Mapping[str, NDArray[np.float64]] = {}
    old: Mapping[str, NDArray[np.float64]] = {}
    if task is not None:
        targets = task.targets(candidate.labels)
        new = metric_draws(task, candidate.values, targets, candidate.singly)
        old = metric_draws(task, champion.values, targets, champion.singly)
    found = {}
    for name, figure in candidate.metrics.items():
        before = champion.metrics.get(name, math.nan)
        if name not in new or name not in old:
            found[name] = Difference(figure, before, math.nan, math.nan, math.nan)
            continue
        apart = new[name] - old[name]
        low, high = interval(apart)
        p = (int((apart >= 0).sum()) + 1) / (len(apart) + 1) if math.isfinite(low) else math.nan
        found[name] = Difference(figure, before, low, high, p)
    return found
