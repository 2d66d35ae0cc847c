"""How well a search ranks its whole index, which no single answer shows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from everloop.tasks.search_graph import index_of
from everloop_runtime.model import Outputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AT_ONCE = 256


def ranking_metrics(
    outputs: Outputs, targets: "NDArray[np.int64]", onnx: bytes
) -> Mapping[str, float]:
    """`mean_average_precision` of N queries over the index inside the graph, by cosine similarity.

    A query's average precision is that over its ranking of the whole index, where what is of its
    class is relevant (scikit-learn's label ranking average precision); a query without anything
    relevant in the index counts 0, as in torchmetrics' `RetrievalMAP`.
    """
    singly = ranking_by_query(outputs, targets, onnx)
    return {name: float(each.mean()) if len(each) else 0.0 for name, each in singly.items()}


def ranking_by_query(
    outputs: Outputs, targets: "NDArray[np.int64]", onnx: bytes
) -> "Mapping[str, NDArray[np.float64]]":
    """The same of each query, `[N]`."""
    import numpy as np

    index, queries = index_of(onnx), outputs.embeddings
    found = np.zeros(len(queries))
    for start in range(0, len(queries), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        relevant = targets[rows, None] == index.classes[None, :]
        found[rows] = _average_precisions(relevant, queries[rows] @ index.vectors.T)
    return {"mean_average_precision": found}


def _average_precisions(
    relevant: "NDArray[np.bool_]", similar: "NDArray[np.float32]"
) -> "NDArray[np.float64]":
    """For each row of `[N, M]` the mean, over what is relevant, of the share of relevant ones among
    those at least as similar; 0 where nothing is."""
    import numpy as np

    order = np.argsort(-similar, axis=1, kind="stable")
    right = np.take_along_axis(relevant, order, axis=1)
    ranked = np.take_along_axis(similar, order, axis=1)
    # Equal similarities share the last one's rank: from the right, what is not last takes the next.
    last = np.append(ranked[:, 1:] != ranked[:, :-1], np.ones((len(ranked), 1), bool), axis=1)
    places = np.where(last, np.arange(ranked.shape[1]), ranked.shape[1])
    places = np.minimum.accumulate(places[:, ::-1], axis=1)[:, ::-1]
    among = np.take_along_axis(np.cumsum(right, axis=1), places, axis=1)
    shares = (among / (places + 1) * right).sum(axis=1)
    found: NDArray[np.float64] = shares / np.maximum(right.sum(axis=1), 1)
    return found
