"""`hybrid`, the default: typical ones first; then unsure, unlike each other, unlike what is known.

While there are few labels a model's doubts say little of what would teach it, so the first labels
are the centres of clusters (`typical`). Later, those are sought that it is least sure of, that
others are like (an outlier teaches little), or that are far from all that is known (what has
drifted). Near duplicates of each other and of labelled ones are left out; among five to eight
times as many as are wanted, one after the other is taken that is unlike those taken, and of a class
that was not much asked about yet.
"""

from typing import TYPE_CHECKING

from everloop.labelling.geometry import distances, distinct, nearest, prepared, spread
from everloop.labelling.strategies import typical
from everloop.labelling.strategy import Candidates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FEW = 1
"""Labels a class below which what is typical is sought first."""
_EARLY, _LEAST = 10, 0.25
"""Labels a class from which on it matters less and less how typical one is, and how little."""
_SHORTLIST = 4
"""Among this many times the budget, and early twice as many, those unlike each other are sought."""
_LOOKED_AT = 64
"""Among this many times the budget of the least sure, the shortlist is."""
_SAME, _ALIKE = 0.15, 0.3
"""Nearer than this part of the usual distance, two samples are near duplicates; while labels are
few, the second: what is merely alike can wait."""
_AROUND, _NEIGHBOURS = 600, 5
"""How typical one is, is told by its distance to the nearest of some drawn ones."""
_CLASSES = 0.25
"""How strongly a class gives way that was taken often."""
_DRIFTED, _DRIFT = 2.0, 2.0
"""Farther than so many times what is usual from all that is known, one counts more, at most so."""


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
        early = min(1.0, max(_LEAST, _EARLY * candidates.classes / max(candidates.labels, 1)))
        unsure, answers = candidates.unsure[order[left]], _answers(candidates)[order[left]]
        known, missing = np.concatenate([known, points[chosen]]), budget - len(chosen)
        more = _doubtful(points[left], unsure, answers, known, missing, early, generator)
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
    early: float,
    generator: "np.random.Generator",
) -> "NDArray[np.intp]":
    """Rows of unsure points that are unlike each other and unlike the known ones."""
    import numpy as np

    usual = spread(points, generator)
    same = usual * max(_SAME, _ALIKE * early)
    looked = np.argsort(-unsure, kind="stable")[: budget * _LOOKED_AT]
    near, _ = nearest(points[looked], known)
    worth = unsure[looked] * _typical(points[looked], points[:_AROUND], usual) ** early
    worth *= _drifted(near)
    order = np.argsort(-worth, kind="stable")
    fresh = order[near[order] > same]
    most = int(budget * _SHORTLIST * (1 + early))
    short = fresh[distinct(points[looked[fresh]], same)][:most]
    if len(short) < budget:
        rest = order[~np.isin(order, short)][: budget - len(short)]
        short = np.concatenate([short, rest])
    rows: NDArray[np.intp] = looked[short]
    return rows[_apart(points[rows], worth[short], answers[rows], usual, budget)]


def _typical(
    points: "NDArray[np.float32]", others: "NDArray[np.float32]", usual: float
) -> "NDArray[np.float64]":
    """Near 1 for what has its like among the others, less for an outlier, `[n]`."""
    import numpy as np

    apart = np.sort(distances(points, others), axis=1)[:, 1 : _NEIGHBOURS + 1]
    far = apart.mean(axis=1) if apart.size else np.zeros(len(points))
    typical: NDArray[np.float64] = np.exp(-far.astype(np.float64) / max(usual, 1e-12))
    return typical


def _drifted(near: "NDArray[np.float32]") -> "NDArray[np.float64]":
    """1, and more for what is much farther from all that is known than is usual, `[n]`."""
    import numpy as np

    usual = float(np.median(near)) if len(near) else 0.0
    if not usual or not np.isfinite(usual):
        return np.ones(len(near))
    return np.clip(near.astype(np.float64) / (_DRIFTED * usual), 1.0, _DRIFT)


def _apart(
    points: "NDArray[np.float32]",
    worth: "NDArray[np.float64]",
    answers: "NDArray[np.intp]",
    usual: float,
    budget: int,
) -> "NDArray[np.intp]":
    """Greedily what is worth most times its distance to what is taken, less for a class that was
    taken often."""
    import numpy as np

    taken = np.zeros(int(answers.max(initial=0)) + 1)
    near, chosen = np.full(len(points), usual), list[int]()
    for _ in range(budget):
        left = (worth + 1e-9) * (near + 1e-9) / (1.0 + taken[answers]) ** _CLASSES
        left[chosen] = -1.0
        following = int(left.argmax())
        chosen.append(following)
        taken[answers[following]] += 1
        near = np.minimum(near, np.linalg.norm(points - points[following], axis=1))
    return np.array(chosen, np.intp)
