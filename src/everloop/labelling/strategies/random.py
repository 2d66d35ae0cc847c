"""`random`: every sample is as likely as any other."""

from typing import TYPE_CHECKING

from everloop.labelling.strategy import Candidates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def choose(
    candidates: Candidates, budget: int, generator: "np.random.Generator"
) -> "NDArray[np.intp]":
    """At most `budget` rows, uniformly at random."""
    return generator.permutation(len(candidates))[:budget]
