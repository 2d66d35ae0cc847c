"""A rate, or the mean of anything between 0 and 1, watched without end.

For a limit m the evidence is a mixture of likelihood ratios over the alternatives p:

    E = integral of (p / m)^s * ((1 - p) / (1 - m))^(n - s) dB(p)

with s successes in n trials and B the Beta(1/2, 1/2) distribution: the beta-binomial mixture of
Robbins (1970) and of Howard, Ramdas, McAuliffe and Sekhon (2021), "Time-uniform, nonparametric,
nonasymptotic confidence sequences", Annals of Statistics 49. Each ratio is a bet in the sense of
Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting", JRSS B
86: for x in [0, 1] the factor (p / m)^x * ((1 - p) / (1 - m))^(1 - x) is at most 1 + c (x - m),
by concavity of the logarithm, so fractional successes are as valid as whole ones. What is needed
of the past is s and n only.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

_A = _B = 0.5
_HALVINGS = 40


def log_evidence_above(
    successes: "ArrayLike", trials: "ArrayLike", limit: float
) -> "NDArray[np.float64]":
    """Natural logarithm of the evidence that the rate is above `limit`, in (0, 1).

    The mixture is over alternatives above the limit only, so that every rate up to the limit
    keeps the bound: the chance that it ever reaches log(1 / alpha) is at most alpha.

    >>> from math import log
    >>> bool(log_evidence_above(6, 10, 0.01) > log(1 / 0.001))
    True
    >>> bool(log_evidence_above(1, 10, 0.01) > log(1 / 0.05))
    False
    """
    import numpy as np
    from scipy.special import betaincc, betaln

    s, n = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    prior = betaln(_A, _B) + np.log(betaincc(_A, _B, limit))
    with np.errstate(divide="ignore"):
        mixed = betaln(_A + s, _B + n - s) + np.log(betaincc(_A + s, _B + n - s, limit))
    evidence: NDArray[np.float64] = mixed - prior - s * np.log(limit) - (n - s) * np.log1p(-limit)
    return evidence


def interval(
    successes: "ArrayLike", trials: "ArrayLike", alpha: float
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Lower and upper bounds of the rate; with chance 1 - alpha they hold at all times at once.

    The bounds are the values of m that the two-sided mixture does not reject. Without trials
    they are 0 and 1.

    >>> low, high = interval(50, 1000, 0.05)
    >>> round(float(low), 3), round(float(high), 3)
    (0.029, 0.079)
    """
    import numpy as np
    from scipy.special import betaln, xlog1py, xlogy

    s, n = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(trials, np.float64))
    mixed = betaln(_A + s, _B + n - s) - betaln(_A, _B)
    mean = np.divide(s, n, out=np.full(s.shape, 0.5), where=n > 0)

    def rejected(m: "NDArray[np.float64]") -> "NDArray[np.bool_]":
        found: NDArray[np.bool_] = mixed - xlogy(s, m) - xlog1py(n - s, -m) >= -np.log(alpha)
        return found

    # The evidence is convex in m with its least value at the mean: each side is one crossing.
    bounds = []
    for end in (0.0, 1.0):
        outside, inside = np.full(s.shape, end), mean.copy()
        for _ in range(_HALVINGS):
            middle = (outside + inside) / 2
            out = rejected(middle)
            outside, inside = np.where(out, middle, outside), np.where(out, inside, middle)
        bounds.append(outside)
    return bounds[0], bounds[1]
