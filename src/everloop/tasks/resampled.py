"""Metrics of many resamples at once: sums over samples become products with their weights.

A resample is told by how often each sample was drawn, `[N]`; many of them by a matrix `[B, N]`.
What a metric is made of (right answers of a class, squared errors, ...) is summed by one product of
that matrix; the metric itself follows from the sums. Drawn once each, the samples give exactly what
the library that defines the metric gives: the tests hold every task to that.
"""

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Weights: TypeAlias = NDArray[np.float64]
    """How often each sample was drawn, `[B, N]`."""
    Drawn: TypeAlias = NDArray[np.float64]
    """A figure of each resample, `[B]`."""

DRAWS = 1000


def mean_of(weights: "Weights", figures: "NDArray[np.float64]") -> "Drawn":
    """The mean of one figure a sample, `[N]`."""
    found: Drawn = weights @ figures / weights.sum(axis=1)
    return found


def ratio(above: "Drawn", below: "Drawn") -> "Drawn":
    """The quotient; 0 where nothing is below, as scikit-learn's `zero_division=0`."""
    import numpy as np

    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def mean_where(figures: "NDArray[np.float64]", there: "NDArray[np.bool_]") -> "Drawn":
    """The mean of each row of `[B, K]` over what is there; NaN where nothing is."""
    import numpy as np

    count = there.sum(axis=1)
    total = np.where(there, figures, 0.0).sum(axis=1)
    found: Drawn = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return found


def f1_by_class(
    weights: "Weights", truth: "NDArray[np.bool_]", given: "NDArray[np.bool_]"
) -> "tuple[NDArray[np.float64], NDArray[np.bool_]]":
    """F1 of each class and whether it occurs in the truth, both `[B, K]`; of `[N, K]`."""
    right, true, said = (weights @ part.astype(float) for part in (truth & given, truth, given))
    return ratio(2 * right, true + said), true > 0


def average_precision(
    weights: "Weights", truth: "NDArray[np.bool_]", scores: "NDArray[np.float32]"
) -> "Drawn":
    """Average precision of scores `[N]`, as scikit-learn has it: the sum of precisions over the
    steps of recall, without interpolation; equal scores are one step."""
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    drawn = weights[:, order]
    right = np.cumsum(drawn * truth[order], axis=1)[:, last]
    said = np.cumsum(drawn, axis=1)[:, last]
    recall = ratio(right, np.broadcast_to(right[:, -1:], right.shape))
    steps = np.diff(recall, axis=1, prepend=0.0)
    found: Drawn = (steps * ratio(right, said)).sum(axis=1)
    return found
