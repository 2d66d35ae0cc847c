"""A search inside a graph: an index of vectors, and what is nearest among them.

The index is part of the graph, so a model and the index that it made cannot be parted, and every
runtime searches in the same way: exactly, by one matrix product. That is quick up to some hundred
thousand vectors (see `docs/tasks.md`); beyond `MOST` nothing is built.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from everloop.errors import Refused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VECTORS = "vectors"
"""The output of a graph that only embeds."""
MOST = 500_000
"""Vectors of an index."""
_INDEX, _CLASSES = "everloop_index", "everloop_index_classes"


class Index(NamedTuple):
    """The index of a graph."""

    vectors: "NDArray[np.float32]"
    """`[M, D]`, each of length 1."""
    classes: "NDArray[np.int64]"
    """`[M]`"""


def with_search(onnx: bytes, index: Index, most: int) -> bytes:
    """A graph that embeds (output `vectors`, `[N, D]`, of length 1) made to search an index.

    Its outputs are then `hits`, `[N, most, 3]`, and `embedding`. Raises `Refused` for an index that
    is too large.
    """
    import numpy as np
    from onnx import TensorProto, helper, load_from_string, numpy_helper

    if len(index.vectors) > MOST:
        raise Refused(
            f"the index would have {len(index.vectors)} samples; exact search takes at most {MOST}"
        )
    model = load_from_string(onnx)
    graph = model.graph
    constants: dict[str, NDArray[Any]] = {
        _INDEX: np.ascontiguousarray(index.vectors.T, np.float32),
        _CLASSES: index.classes.astype(np.float32),
        "everloop_most": np.array([most], np.int64),
        "everloop_last": np.array([-1], np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in constants.items())
    make = helper.make_node
    graph.node.extend(
        [
            make("MatMul", [VECTORS, _INDEX], ["everloop_similar"]),
            make("TopK", ["everloop_similar", "everloop_most"], ["everloop_near", "everloop_rows"]),
            make("Gather", [_CLASSES, "everloop_rows"], ["everloop_class"]),
            make("Cast", ["everloop_rows"], ["everloop_row"], to=TensorProto.FLOAT),
        ]
    )
    parts = ("everloop_class", "everloop_near", "everloop_row")
    for part in parts:
        graph.node.append(make("Unsqueeze", [part, "everloop_last"], [f"{part}_column"]))
    columns = [f"{part}_column" for part in parts]
    graph.node.append(make("Concat", columns, ["hits"], axis=2))
    kept = [told for told in graph.output if told.name != VECTORS]
    del graph.output[:]
    hits = helper.make_tensor_value_info("hits", TensorProto.FLOAT, ["batch", most, 3])
    graph.output.extend([hits, *kept])
    data: bytes = model.SerializeToString()
    return data


def index_of(onnx: bytes) -> Index:
    """The index inside a graph; `Refused` when it has none."""
    import numpy as np
    from onnx import load_from_string, numpy_helper

    tensors = {tensor.name: tensor for tensor in load_from_string(onnx).graph.initializer}
    if _INDEX not in tensors or _CLASSES not in tensors:
        raise Refused("the graph holds no index")
    vectors = numpy_helper.to_array(tensors[_INDEX]).T
    return Index(vectors, numpy_helper.to_array(tensors[_CLASSES]).astype(np.int64))
