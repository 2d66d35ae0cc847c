"""The pictures that look most like each one, without comparing all with all.

Up to a few thousand pictures are compared all with all, which is one matrix product. More are
sorted into cells around pictures drawn as pivots, each into its three nearest, and compared
within cells only, as an inverted file does (Jegou, Douze and Schmid 2011, "Product quantization
for nearest neighbor search"): the cost grows as N^1.5, all of it in matrix products.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEAREST = 16
"""How many neighbours of each picture are kept."""
_DIRECT = 4096
_CELLS = 3
_ROWS = 8192
_QUERIES = 256


def nearest(
    vectors: "NDArray[np.float32]", queries: "NDArray[np.int64] | None" = None
) -> "tuple[NDArray[np.int64], NDArray[np.float32]]":
    """Rows of the nearest other vectors of each query, nearest first, and their cosines `[Q, k]`.

    `queries`: rows of `vectors`; None asks for all. k is `NEAREST`, or fewer where there are
    fewer; a missing neighbour is row -1 with cosine -1. Exact up to 4,096 queries, approximate
    beyond; the same vectors always give the same.
    """
    import numpy as np

    count = len(vectors)
    most = min(NEAREST, max(count - 1, 0))
    if queries is not None and len(queries) <= _DIRECT:
        return _look_up(vectors, queries, most)
    rows = np.full((count, most), -1, np.int64)
    cosines = np.full((count, most), -1.0, np.float32)
    if most:
        _compare(vectors, np.arange(count), rows, cosines, 0)
    return (rows, cosines) if queries is None else (rows[queries], cosines[queries])


def _look_up(
    vectors: "NDArray[np.float32]", queries: "NDArray[np.int64]", most: int
) -> "tuple[NDArray[np.int64], NDArray[np.float32]]":
    import numpy as np

    rows = np.empty((len(queries), most), np.int64)
    cosines = np.empty((len(queries), most), np.float32)
    if not most:
        return rows, cosines
    for start in range(0, len(queries), _QUERIES):
        part = queries[start : start + _QUERIES]
        near = vectors[part] @ vectors.T
        near[np.arange(len(part)), part] = -2.0
        best = np.argpartition(-near, most - 1, axis=1)[:, :most]
        told = np.take_along_axis(near, best, axis=1)
        order = np.argsort(-told, axis=1, kind="stable")
        rows[start : start + len(part)] = np.take_along_axis(best, order, axis=1)
        cosines[start : start + len(part)] = np.take_along_axis(told, order, axis=1)
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
