"""How sure a figure measured on some samples is."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_Z95 = 1.959963984540054
_DRAWS = 1000


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95% score interval of a proportion (Wilson 1927).

    >>> [round(bound, 3) for bound in wilson(9, 10)]
    [0.596, 0.982]
    """
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, _Z95**2
    middle = share + z2 / (2 * trials)
    spread = _Z95 * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return (middle - spread) / (1 + z2 / trials), (middle + spread) / (1 + z2 / trials)


def bootstrap(figures: "NDArray[np.float64]") -> tuple[float, float]:
    """95% percentile interval of a mean, from 1,000 draws with replacement (Efron 1979).

    The draws are seeded: the same figures give the same interval.
    """
    import numpy as np

    if not len(figures) or not np.isfinite(figures).all():
        return math.nan, math.nan
    generator = np.random.default_rng(0)
    means = [
        figures[generator.integers(0, len(figures), len(figures))].mean() for _ in range(_DRAWS)
    ]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
