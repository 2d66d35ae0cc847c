"""`coreset`: samples that leave none far from a labelled one (Sener and Savarese 2018).

The greedy 2-approximation of k-centre on the embeddings, from what has a label already. It asks
about whatever is strange first, so it shines on near duplicates and fails on textures.
"""

from typing import TYPE_CHECKING

from everloop.labelling.geometry import farthest_first, nearest, prepared
from everloop.labelling.strategy import Candidates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def choose(
    candidates: Candidates, budget: int, generator: "np.random.Generator"
) -> "NDArray[np.intp]":
    """Farthest first; the first of all, where nothing is known, at random."""
    import numpy as np

    order = generator.permutation(len(candidates))
    points = prepared(candidates.embeddings)[order]
    near, _ = nearest(points, prepared(candidates.known))
    return order[farthest_first(points, np.ones(len(points)), budget, near)]
