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
    from sklearn.metrics import label_ranking_average_precision_score

    index, queries, total = index_of(onnx), outputs.embeddings, 0.0
    for start in range(0, len(queries), _AT_ONCE):
        relevant = targets[start : start + _AT_ONCE, None] == index.classes[None, :]
        able = relevant.any(axis=1)
        if able.any():
            similar = queries[start : start + _AT_ONCE][able] @ index.vectors.T
            score = label_ranking_average_precision_score(relevant[able], similar)
            total += float(score) * int(able.sum())
    return {"mean_average_precision": total / max(len(queries), 1)}
