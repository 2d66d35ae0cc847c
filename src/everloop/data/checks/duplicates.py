"""Pictures that are nearly the same: found among any number, without false alarms by the hundred.

Two pictures are near duplicates when little of one is left unexplained by the other, *and* much
less than by the pictures that look most like them otherwise. The second condition is what simple
strokes need: any two hand-drawn minus signs look alike, but no more than a dozen others do.
(The ratio of distances is Lowe's: 2004, "Distinctive Image Features", section 7.1.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from everloop.data.checks.align import residuals
from everloop.data.checks.neighbours import nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_COSINE = 0.8
"""Pairs whose lowest frequencies agree less are not laid over each other."""
MOST_LEFT = 0.1
"""The share of variance that near duplicates may not share."""
TINY, MOST_LEFT_OF_TINY = 64, 0.004
"""Two scans of one digit share as much as two photographs of one scene: of pictures with a side
of less than 64 pixels only what is practically the same counts."""
MOST_RATIO = 0.08
"""That share, against the share left by strangers."""
SAME = 0.0003
"""What is left of a copy that was merely encoded anew: a duplicate whatever the strangers say."""
_ROUNDING = 0.001
"""Cosines of half floats are not told apart more finely."""
_LOADED = 4096
CANDIDATES = 8
"""Neighbours of a picture that are laid over it, at most."""
_STRANGERS = 4
_FEW = 0.5
"""What strangers leave where there are too few pictures to tell."""
_CLEAR = 0.55
"""A neighbour must be this much nearer than the strangers before it is looked at."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two near duplicates, by their rows."""

    first: int
    second: int
    left: float
    """Share of variance not shared, from 0 (the same) to `MOST_LEFT`."""


Thumbnails: TypeAlias = "Callable[[NDArray[np.int64]], NDArray[np.uint8]]"
"""The thumbnails `[n, 32, 32]` of some rows."""
AreTiny: TypeAlias = "Callable[[NDArray[np.int64]], NDArray[np.bool_]]"
"""Whether the pictures of some rows have a side of less than `TINY` pixels, `[n]`."""


def near_duplicates(
    signatures: "NDArray[np.float16]",
    thumbnails: Thumbnails,
    are_tiny: AreTiny,
    among: "NDArray[np.int64] | None" = None,
) -> Sequence[Pair]:
    """All pairs of near duplicates, the closest first, by signatures `[N, 64]`.

    `among`: only pairs with one of these rows. Among copies of one picture each is paired with
    its nearest eight at most. Of a series of more than twelve pictures that differ slightly (a
    film), only what is practically the same is paired: keep a film together by its group.
    """
    import numpy as np

    vectors = np.asarray(signatures, np.float32)
    first, second = _candidates(vectors, among)
    if not len(first):
        return ()
    left = _left(thumbnails, first, second)
    kept = _is_little(left, are_tiny(first) | are_tiny(second))
    first, second, left = first[kept], second[kept], left[kept]
    strange = _strangers(vectors, thumbnails, np.unique(np.concatenate([first, second])))
    told = np.minimum(strange[first], strange[second])
    kept = (left <= MOST_RATIO * told) | (left <= SAME)
    found = zip(first[kept].tolist(), second[kept].tolist(), left[kept].tolist(), strict=True)
    return tuple(sorted((Pair(*each) for each in found), key=lambda pair: (pair.left, pair.first)))


def are_near(
    first: "NDArray[np.uint8]", second: "NDArray[np.uint8]", tiny: "NDArray[np.bool_]"
) -> "NDArray[np.bool_]":
    """Whether pairs of thumbnails `[P, 32, 32]` share enough to be near duplicates, if strangers
    share much less; `tiny`: whether one of the two pictures is. `[P]`."""
    return _is_little(residuals(first, second), tiny)


def _is_little(left: "NDArray[np.float32]", tiny: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
    import numpy as np

    return np.asarray(left <= np.where(tiny, MOST_LEFT_OF_TINY, MOST_LEFT))


def _candidates(
    vectors: "NDArray[np.float32]", among: "NDArray[np.int64] | None"
) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """Pairs that look alike from afar, and clearly more so than others."""
    import numpy as np

    rows, cosines = nearest(vectors, among)
    if not rows.shape[1]:
        nothing = np.empty(0, np.int64)
        return nothing, nothing
    usual = cosines[:, -_STRANGERS:].max(axis=1, keepdims=True)
    near = cosines[:, :CANDIDATES]
    clear = (1 - near <= _CLEAR * (1 - usual)) | (1 - near <= _ROUNDING)
    if rows.shape[1] <= _STRANGERS:
        clear[:] = True
    query, place = np.nonzero((near >= LEAST_COSINE) & clear)
    first = query if among is None else among[query]
    ends = np.sort(np.stack([first, rows[query, place]], axis=1), axis=1)
    pairs = np.unique(ends, axis=0)
    return pairs[:, 0], pairs[:, 1]


def _left(
    thumbnails: Thumbnails, first: "NDArray[np.int64]", second: "NDArray[np.int64]"
) -> "NDArray[np.float32]":
    import numpy as np

    found = np.empty(len(first), np.float32)
    for start in range(0, len(first), _LOADED):
        part = slice(start, start + _LOADED)
        found[part] = residuals(thumbnails(first[part]), thumbnails(second[part]))
    return found


def _strangers(
    vectors: "NDArray[np.float32]", thumbnails: Thumbnails, of: "NDArray[np.int64]"
) -> "NDArray[np.float32]":
    """What the farthest of the near ones leave unexplained, for the rows `of`, `[N]`."""
    import numpy as np

    found = np.full(len(vectors), _FEW, np.float32)
    rows, _ = nearest(vectors, of)
    if rows.shape[1] <= 2 * _STRANGERS or not len(of):
        return found
    last = rows[:, -_STRANGERS:]
    left = _left(thumbnails, np.repeat(of, _STRANGERS), np.maximum(last, 0).ravel())
    found[of] = np.where(last >= 0, left.reshape(last.shape), 1.0).min(axis=1)
    return found


def clusters(pairs: Sequence[Pair], count: int) -> "Sequence[tuple[int, ...]]":
    """Rows that hang together through pairs, as sorted groups of at least two."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not pairs:
        return ()
    ends = np.array([(pair.first, pair.second) for pair in pairs])
    ones = np.ones(len(ends), np.int8)
    graph = coo_array((ones, (ends[:, 0], ends[:, 1])), shape=(count, count))
    _, name = connected_components(graph, directed=False)
    groups: dict[int, list[int]] = {}
    for row in np.unique(ends).tolist():
        groups.setdefault(int(name[row]), []).append(row)
    return tuple(tuple(group) for group in groups.values())
