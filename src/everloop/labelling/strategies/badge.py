"""`badge`: what would change the model most, in different ways (Ash and others 2020).

The gradient that a sample would give the last layer, were the model's own answer right, is the
outer product of (probabilities - answer) and its embedding: its length says how unsure the answer
is, its direction what it is about. Samples are drawn from these by k-means++. The products are
never written down: of two, the distance follows from the inner products of both factors. Where
answers are not of one class, how unsure they are takes the place of the first factor.
"""

from typing import TYPE_CHECKING

from everloop.labelling.geometry import prepared
from everloop.labelling.strategy import Candidates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def choose(
    candidates: Candidates, budget: int, generator: "np.random.Generator"
) -> "NDArray[np.intp]":
    """Drawn one after the other, the chance growing with the squared distance to those drawn."""
    import numpy as np

    points, steps = prepared(candidates.embeddings), _steps(candidates)
    lengths = (steps**2).sum(axis=1) * (points**2).sum(axis=1)
    near, chosen = lengths.astype(np.float64), list[int]()
    for _ in range(min(budget, len(candidates))):
        near[chosen] = 0.0
        if (total := near.sum()) <= 0:
            break
        row = int(np.searchsorted(np.cumsum(near), generator.random() * total))
        row = min(row, len(near) - 1)
        chosen.append(row)
        shared = (steps @ steps[row]) * (points @ points[row])
        near = np.minimum(near, np.maximum(lengths + lengths[row] - 2 * shared, 0))
    missing = min(budget, len(candidates)) - len(chosen)
    left = np.setdiff1d(np.arange(len(candidates)), chosen)
    return np.concatenate([np.array(chosen, np.intp), generator.permutation(left)[:missing]])


def _steps(candidates: Candidates) -> "NDArray[np.float32]":
    """How far each answer is from what it would have been, were it sure, `[n, K]`."""
    import numpy as np

    if candidates.odds is None:
        return candidates.unsure.astype(np.float32)[:, None]
    odds = np.nan_to_num(candidates.odds.astype(np.float32))
    steps = odds.copy()
    steps[np.arange(len(odds)), odds.argmax(axis=1)] -= 1
    return steps
