"""Distances between embeddings, for choosing samples that are unlike each other."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AT_ONCE = 4_194_304
"""Distances held at once."""
_PAIRS = 4_096
_STEPS = 6


def prepared(points: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Points `[n, D]`, what is no number taken for 0, and made as long as 1 each."""
    import numpy as np

    clean = np.nan_to_num(np.asarray(points, np.float32), posinf=0.0, neginf=0.0)
    lengths = np.linalg.norm(clean, axis=1, keepdims=True)
    found: NDArray[np.float32] = clean / np.maximum(lengths, 1e-12)
    return found


def distances(points: "NDArray[np.float32]", to: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """How far each of `[n, D]` is from each of `[m, D]`, `[n, m]`."""
    import numpy as np

    squares = (points**2).sum(axis=1)[:, None] + (to**2).sum(axis=1)[None] - 2 * (points @ to.T)
    found: NDArray[np.float32] = np.sqrt(np.maximum(squares, 0))
    return found


def nearest(
    points: "NDArray[np.float32]", to: "NDArray[np.float32]"
) -> "tuple[NDArray[np.float32], NDArray[np.intp]]":
    """The distance of each of `[n, D]` to the nearest of `[m, D]`, and which that is, `[n]`.

    Where there is none: infinity, and -1.
    """
    import numpy as np

    far, which = np.full(len(points), np.inf, np.float32), np.full(len(points), -1, np.intp)
    if not len(to):
        return far, which
    step, lengths, doubled = max(1, _AT_ONCE // len(to)), (to**2).sum(axis=1), -2 * to.T
    for start in range(0, len(points), step):
        part = points[start : start + step]
        # A point's own length is the same for all: it is added to the least only.
        apart = part @ doubled
        apart += lengths
        best = apart.argmin(axis=1)
        least = apart[np.arange(len(part)), best] + (part**2).sum(axis=1)
        which[start : start + step], far[start : start + step] = best, np.sqrt(least.clip(0))
    return far, which


def spread(points: "NDArray[np.float32]", generator: "np.random.Generator") -> float:
    """The usual distance of two points drawn at random; 0 where all are the same."""
    import numpy as np

    if len(points) < 2:
        return 0.0
    first, second = generator.integers(0, len(points), (2, _PAIRS))
    apart = np.linalg.norm(points[first] - points[second], axis=1)
    return float(np.median(apart[first != second])) if (first != second).any() else 0.0


def distinct(points: "NDArray[np.float32]", least: float) -> "NDArray[np.intp]":
    """Rows of which no earlier one that is kept is within `least`, in their order."""
    import numpy as np

    left = np.arange(len(points), dtype=np.intp)
    kept: list[NDArray[np.intp]] = []
    while len(left):
        # A block at a time: first against what was kept of it, then all that follows against it.
        block, left = left[:256], left[256:]
        apart = distances(points[block], points[block])
        alone = np.ones(len(block), bool)
        for row in range(len(block)):
            if alone[row]:
                alone[row + 1 :] &= apart[row, row + 1 :] > least
        kept.append(block[alone])
        left = left[nearest(points[left], points[block[alone]])[0] > least]
    return np.concatenate(kept) if kept else np.empty(0, np.intp)


def farthest_first(
    points: "NDArray[np.float32]",
    weights: "NDArray[np.float64]",
    budget: int,
    near: "NDArray[np.float32]",
) -> "NDArray[np.intp]":
    """Greedily the row whose distance to the nearest chosen one, times its weight, is largest.

    The farthest-first traversal of Gonzalez (1985), weighted. `near`: how far each is from what
    was chosen before, `[n]`; infinite where that is nothing.
    """
    import numpy as np

    near = near.astype(np.float64)
    chosen: list[int] = []
    for _ in range(min(budget, len(points))):
        # Among what is equally far, infinitely too, the weight decides.
        reach = np.where(np.isinf(near), 1e6, near) + 1e-9
        reach[chosen] = -1.0
        following = int(np.argmax(reach * np.maximum(weights, 1e-9)))
        chosen.append(following)
        near = np.minimum(near, np.linalg.norm(points - points[following], axis=1))
    return np.array(chosen, np.intp)


def drawn_apart(
    points: "NDArray[np.float32]",
    weights: "NDArray[np.float64]",
    budget: int,
    near: "NDArray[np.float32]",
    generator: "np.random.Generator",
) -> "NDArray[np.intp]":
    """Rows drawn one after the other with a chance that grows with the weight, and with the
    squared distance to the nearest one drawn: k-means++ (Arthur and Vassilvitskii 2007)."""
    import numpy as np

    near = near.astype(np.float64)
    chosen: list[int] = []
    for _ in range(min(budget, len(points))):
        chance = weights * np.where(np.isinf(near), 1.0, near**2)
        chance[chosen] = 0.0
        if (total := chance.sum()) <= 0:
            break
        following = int(np.searchsorted(np.cumsum(chance), generator.random() * total))
        following = min(following, len(points) - 1)
        chosen.append(following)
        near = np.minimum(near, np.linalg.norm(points - points[following], axis=1))
    left = np.setdiff1d(np.arange(len(points)), chosen)[: min(budget, len(points)) - len(chosen)]
    return np.concatenate([np.array(chosen, np.intp), left.astype(np.intp)])


def clusters(
    points: "NDArray[np.float32]", count: int, generator: "np.random.Generator"
) -> "tuple[NDArray[np.float32], NDArray[np.intp]]":
    """Centres `[count, D]` and the cluster of each point `[n]`: Lloyd's k-means, from k-means++."""
    import numpy as np

    ones, nothing = np.ones(len(points)), np.full(len(points), np.inf, np.float32)
    centres = points[drawn_apart(points, ones, count, nothing, generator)].copy()
    _, which = nearest(points, centres)
    for _ in range(_STEPS):
        sums = np.stack([np.bincount(which, column, len(centres)) for column in points.T], axis=1)
        sizes = np.bincount(which, minlength=len(centres))
        filled = sizes > 0
        centres[filled] = (sums[filled] / sizes[filled, None]).astype(np.float32)
        _, again = nearest(points, centres)
        if np.array_equal(again, which):
            break
        which = again
    return centres, which
