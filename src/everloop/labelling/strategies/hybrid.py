"""`hybrid`, the default: typical ones first; then unsure, unlike each other, unlike what is known.

While there are few labels a model's doubts say little of what would teach it, so the first labels
are the centres of clusters (`typical`). Later, of those it is least sure of, near duplicates of
each other and of labelled ones are left out; among the rest, one after the other is taken that is
unsure, far from what is taken or labelled (so what has drifted comes early), and of a class that
was not much asked about yet.
"""

from typing import TYPE_CHECKING

from everloop.labelling.geometry import distinct, nearest, prepared, spread
from everloop.labelling.strategies import typical
from everloop.labelling.strategy import Candidates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FEW = 3
"""Labels a class below which what is typical is sought first."""
_SHORTLIST = 4
"""Among this many times the budget of the least sure, those unlike each other are sought."""
_LOOKED_AT = 8
"""Among so many times that, near duplicates are left out."""
_SAME = 0.2
"""Nearer than this part of the usual distance, two samples are near duplicates."""


def choose(
    candidates: Candidates, budget: int, generator: "np.random.Generator"
) -> "NDArray[np.intp]":
    """The typical while labels are few, then the unsure, diverse and drifted."""
    import numpy as np

    # Drawn order, so that ties do not go by the order in which samples came.
    order = generator.permutation(len(candidates))
    budget = min(budget, len(order))
    points, known = prepared(candidates.embeddings)[order], prepared(candidates.known)
    first = max(0, _FEW * candidates.classes - candidates.labels)
    if candidates.unsure.min(initial=1.0) >= 1.0:  # None was answered: no doubts to go by.
        first = budget
    chosen = typical.centres(points, known, min(first, budget), generator)
    if len(chosen) < budget:
        left = np.setdiff1d(np.arange(len(points)), chosen)
        unsure, answers = candidates.unsure[order[left]], _answers(candidates)[order[left]]
        known, missing = np.concatenate([known, points[chosen]]), budget - len(chosen)
        more = _doubtful(points[left], unsure, answers, known, missing, generator)
        chosen = np.concatenate([chosen, left[more]])
    return order[chosen]


def _answers(candidates: Candidates) -> "NDArray[np.intp]":
    """The class that each is answered, `[n]`; 0 where answers are not of one class."""
    import numpy as np

    if candidates.odds is None:
        return np.zeros(len(candidates), np.intp)
    answers: NDArray[np.intp] = np.nan_to_num(candidates.odds).argmax(axis=1)
    return answers


def _doubtful(
    points: "NDArray[np.float32]",
    unsure: "NDArray[np.float64]",
    answers: "NDArray[np.intp]",
    known: "NDArray[np.float32]",
    budget: int,
    generator: "np.random.Generator",
) -> "NDArray[np.intp]":
    """Rows of unsure points that are unlike each other and unlike the known ones."""
    import numpy as np

    usual = spread(points, generator)
    doubted = np.argsort(-unsure, kind="stable")
    looked = doubted[: budget * _SHORTLIST * _LOOKED_AT]
    near, _ = nearest(points[looked], known)
    fresh = looked[near > _SAME * usual]
    short = fresh[distinct(points[fresh], _SAME * usual)][: budget * _SHORTLIST]
    if len(short) < budget:
        rest = doubted[~np.isin(doubted, short)][: budget - len(short)]
        return np.concatenate([short, rest])
    near = np.minimum(nearest(points[short], known)[0], usual)
    return short[_apart(points[short], unsure[short], answers[short], near, budget)]


def _apart(
    points: "NDArray[np.float32]",
    unsure: "NDArray[np.float64]",
    answers: "NDArray[np.intp]",
    near: "NDArray[np.float32]",
    budget: int,
) -> "NDArray[np.intp]":
    """Greedily the least sure times its distance to what is taken, less for a class taken often."""
    import numpy as np

    taken = np.zeros(int(answers.max(initial=0)) + 1)
    near, chosen = near.astype(np.float64), list[int]()
    for _ in range(budget):
        worth = (unsure + 1e-9) * (near + 1e-9) / np.sqrt(1.0 + taken[answers])
        worth[chosen] = -1.0
        following = int(worth.argmax())
        chosen.append(following)
        taken[answers[following]] += 1
        near = np.minimum(near, np.linalg.norm(points - points[following], axis=1))
    return np.array(chosen, np.intp)
