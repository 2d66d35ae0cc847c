"""The pictures that look most like each one, without comparing all with all.

Up to a few thousand pictures are compared all with all, which is one matrix product. More are
sorted into cells around pictures drawn as pivots, each into its three nearest, and compared
within cells only, as an inverted file does (Jegou, Douze and Schmid 2011, "Product quantization
for nearest neighbor search"): the cost grows as N^1.5, all of it in matrix products.
"""

from functools import cache
from typing import TYPE_CHECKING

from everloop.data.examined import THUMBNAIL_SIDE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEAREST = 16
"""How many neighbours of each picture are kept."""
_DIRECT = 4096
_CELLS = 3
_ROWS = 8192
_FREQUENCIES = 64


def describe(thumbnails: "NDArray[np.uint8]") -> "NDArray[np.float32]":
    """Unit vectors `[N, 64]` of thumbnails `[N, 32, 32]`: their lowest frequencies.

    Without the constant one, so that brightness and contrast do not count. A picture of one tone
    is all zero, and near nothing.
    """
    import numpy as np

    basis = _lowest()
    found = np.empty((len(thumbnails), _FREQUENCIES), np.float32)
    for start in range(0, len(thumbnails), _ROWS):
        part = thumbnails[start : start + _ROWS].reshape(-1, THUMBNAIL_SIDE**2)
        found[start : start + _ROWS] = part.astype(np.float32) @ basis
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(lengths > 1.0, lengths, np.inf), np.float32)


@cache
def _lowest() -> "NDArray[np.float32]":
    """The 64 lowest frequencies of the orthonormal DCT-II of 32 x 32, as columns `[1024, 64]`."""
    import numpy as np

    side = THUMBNAIL_SIDE
    rows, columns = np.arange(side)[:, None], np.arange(side)[None, :]
    basis = np.cos(np.pi * rows * (2 * columns + 1) / (2 * side)) * np.sqrt(2 / side)
    basis[0] /= np.sqrt(2)
    vertical, horizontal = np.divmod(np.arange(side * side), side)
    order = np.lexsort((vertical, vertical + horizontal))[1 : _FREQUENCIES + 1]
    waves = [np.outer(basis[vertical[at]], basis[horizontal[at]]).ravel() for at in order]
    return np.stack(waves, axis=1).astype(np.float32)


def nearest(
    vectors: "NDArray[np.float32]",
) -> "tuple[NDArray[np.int64], NDArray[np.float32]]":
    """Rows of the nearest other vectors of each, nearest first, and their cosines `[N, k]`.

    k is `NEAREST`, or fewer where there are fewer; a missing neighbour is row -1 with cosine -1.
    Exact up to 4,096 vectors, approximate beyond; the same vectors always give the same.
    """
    import numpy as np

    count = len(vectors)
    most = min(NEAREST, max(count - 1, 0))
    rows = np.full((count, most), -1, np.int64)
    cosines = np.full((count, most), -1.0, np.float32)
    if most:
        _compare(vectors, np.arange(count), rows, cosines, 0)
    return rows, cosines


def _compare(
    vectors: "NDArray[np.float32]",
    members: "NDArray[np.int64]",
    rows: "NDArray[np.int64]",
    cosines: "NDArray[np.float32]",
    depth: int,
) -> None:
    """Improve the neighbours known of `members` by those among them."""
    if len(members) <= _DIRECT:
        _merge(vectors, members, rows, cosines)
        return
    for cell in _cells(vectors[members], depth):
        # A cell that holds nearly all has nothing to split by: its pictures all look alike.
        if len(cell) > _DIRECT and (depth > 2 or len(cell) > 0.8 * len(members)):
            for start in range(0, len(cell), _DIRECT):
                _merge(vectors, members[cell[start : start + _DIRECT]], rows, cosines)
        elif len(cell) > 1:
            _compare(vectors, members[cell], rows, cosines, depth + 1)


def _cells(vectors: "NDArray[np.float32]", seed: int) -> "list[NDArray[np.int64]]":
    """Rows in each cell; every row is in the cells of its three nearest pivots."""
    import numpy as np

    count = len(vectors)
    wanted = int(2 * count**0.5)
    pivots = vectors[np.random.default_rng(seed).choice(count, wanted, replace=False)]
    chosen = np.empty((count, _CELLS), np.int64)
    for start in range(0, count, _ROWS):
        near = vectors[start : start + _ROWS] @ pivots.T
        chosen[start : start + _ROWS] = np.argpartition(-near, _CELLS, axis=1)[:, :_CELLS]
    flat = chosen.ravel()
    order = np.argsort(flat, kind="stable")
    edges = np.searchsorted(flat[order], np.arange(wanted + 1))
    return [order[edges[n] : edges[n + 1]] // _CELLS for n in range(wanted)]


def _merge(
    vectors: "NDArray[np.float32]",
    members: "NDArray[np.int64]",
    rows: "NDArray[np.int64]",
    cosines: "NDArray[np.float32]",
) -> None:
    import numpy as np

    part = vectors[members]
    near = part @ part.T
    np.fill_diagonal(near, -2.0)
    most = min(rows.shape[1], len(members) - 1)
    best = np.argpartition(-near, most - 1, axis=1)[:, :most]
    both = np.concatenate([rows[members], members[best]], axis=1)
    told = np.concatenate([cosines[members], np.take_along_axis(near, best, axis=1)], axis=1)
    # The same neighbour met in two cells counts once: the second meeting is put last.
    by_row = np.argsort(both, axis=1, kind="stable")
    again = np.zeros(both.shape, bool)
    ordered = np.take_along_axis(both, by_row, axis=1)
    np.put_along_axis(again, by_row[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    told[again] = -2.0
    order = np.argsort(-told, axis=1, kind="stable")[:, : rows.shape[1]]
    rows[members] = np.take_along_axis(both, order, axis=1)
    cosines[members] = np.maximum(np.take_along_axis(told, order, axis=1), -1.0)
