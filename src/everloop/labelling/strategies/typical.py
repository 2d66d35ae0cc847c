"""`typical-first`: what stands for many, before anything is known (Hacohen and others 2022).

As many clusters as there are labels and wanted ones; of the largest that hold no labelled sample,
the sample nearest the centre. A centre rather than the densest place (as TypiClust has it), since
the densest place of a pool with near duplicates is one picture taken fifty times.
"""

from typing import TYPE_CHECKING

from everloop.labelling.geometry import clusters, nearest, prepared
from everloop.labelling.strategy import Candidates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LOOKED_AT = 10_000
"""Clusters are sought among so many samples, drawn at random."""
_CLUSTERS = 500


def choose(
    candidates: Candidates, budget: int, generator: "np.random.Generator"
) -> "NDArray[np.intp]":
    """The centre of each cluster without a label, the largest first."""
    order = generator.permutation(len(candidates))
    points, known = prepared(candidates.embeddings)[order], prepared(candidates.known)
    return order[centres(points, known, budget, generator)]


def centres(
    points: "NDArray[np.float32]",
    known: "NDArray[np.float32]",
    budget: int,
    generator: "np.random.Generator",
) -> "NDArray[np.intp]":
    """The rows of `points` that stand for most which no `known` one stands for."""
    import numpy as np

    budget = min(budget, len(points))
    if not budget:
        return np.empty(0, np.intp)
    known = known[: _CLUSTERS // 2]
    looked = points[: max(_LOOKED_AT, budget)]
    both = np.concatenate([looked, known]) if len(known) else looked
    count = max(budget, min(len(known) + budget, _CLUSTERS))
    middle, which = clusters(both, min(count, len(both)), generator)
    sizes = np.bincount(which[: len(looked)], minlength=len(middle)).astype(np.float64)
    # A cluster with labels comes after all without.
    sizes /= 1 + len(both) * np.bincount(which[len(looked) :], minlength=len(middle))
    _, typical = nearest(middle, looked)
    wanted = typical[np.argsort(-sizes, kind="stable")]
    first = np.sort(np.unique(wanted, return_index=True)[1])
    chosen = wanted[first][:budget]
    rest = np.setdiff1d(np.arange(len(points)), chosen)[: budget - len(chosen)]
    return np.concatenate([chosen, rest])
