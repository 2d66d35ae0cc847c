"""Values that stand out of their own distribution, by statistics that outliers cannot move."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FAR = 3.5
"""Robust standard deviations from the median (Iglewicz and Hoaglin 1993, "How to Detect and
Handle Outliers")."""
_NORMAL = 1.4826


def robust_scores(
    values: "NDArray[np.float64]", least_spread: float = 0.0
) -> "NDArray[np.float64]":
    """How many robust standard deviations (1.4826 MAD) each value lies from the median, signed.

    `least_spread`: the least standard deviation that is believed, where nearly all are alike.

    >>> import numpy as np
    >>> robust_scores(np.array([1.0, 2.0, 3.0, 4.0, 100.0])).round(1).tolist()
    [-1.3, -0.7, 0.0, 0.7, 65.4]
    """
    import numpy as np

    if not len(values):
        return np.empty(0)
    middle = np.median(values)
    spread = max(_NORMAL * float(np.median(np.abs(values - middle))), least_spread)
    if spread == 0.0:
        return np.where(values == middle, 0.0, np.sign(values - middle) * np.inf)
    scores: NDArray[np.float64] = (values - middle) / spread
    return scores
