"""`margin`: what the live model is least sure of.

For one class an image that is the margin by which the best class is ahead of the second (Scheffer,
Decomain and Wrobel 2001); other tasks say themselves how unsure an answer is.
"""

from typing import TYPE_CHECKING

from everloop.labelling.strategy import Candidates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def choose(
    candidates: Candidates, budget: int, generator: "np.random.Generator"
) -> "NDArray[np.intp]":
    """The least sure, drawn where several are as unsure."""
    import numpy as np

    return np.lexsort((generator.random(len(candidates)), -candidates.unsure))[:budget]
