"""`entropy`: the answers whose probabilities say least (Shannon 1948; Settles 2009, section 3.1).

Where answers are not of one class it is `margin`.
"""

from typing import TYPE_CHECKING

from everloop.labelling.strategies import margin
from everloop.labelling.strategy import Candidates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def choose(
    candidates: Candidates, budget: int, generator: "np.random.Generator"
) -> "NDArray[np.intp]":
    """Those of the largest entropy, drawn where several are alike."""
    import numpy as np
    from scipy.special import xlogy

    if candidates.odds is None:
        return margin.choose(candidates, budget, generator)
    odds = np.nan_to_num(candidates.odds.astype(np.float64))
    said = -xlogy(odds, odds).sum(axis=1)
    return np.lexsort((generator.random(len(candidates)), -said))[:budget]
