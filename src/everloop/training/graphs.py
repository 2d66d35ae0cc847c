"""Changes to ONNX graphs that do not depend on where they came from."""

from typing import TYPE_CHECKING

from everloop.errors import Refused
from everloop.tasks.search_graph import VECTORS

if TYPE_CHECKING:
    import onnx


def as_it_is(model: "bytes | onnx.ModelProto", output: str) -> bytes:
    """An ONNX model of the contract's own input and `output`; an embedding is added if missing.

    Raises `Refused` when it is no ONNX model, or has no such output.
    """
    import onnx

    try:
        graph = onnx.load_from_string(model) if isinstance(model, bytes) else model
    except Exception as error:
        raise Refused(
            f"the training function returned bytes that are no ONNX model: {error}"
        ) from (error)
    names = [told.name for told in graph.graph.output]
    if output not in names:
        raise Refused(f"the ONNX model gives {', '.join(names)}; an output {output!r} is wanted")
    if "embedding" not in names:
        expose_embedding(graph, output)
    data: bytes = graph.SerializeToString()
    return data


def without_traces(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Stack traces of the tracing name this machine's folders; the bundle's id must not."""
    parts = [model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input]
    for part in [*parts, *model.graph.output, *model.graph.value_info]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model


def expose_embedding(model: "onnx.ModelProto", output: str) -> None:
    """Make what the last linear layer sees a second output, named `embedding`.

    A graph that only embeds has it already: its vectors. Where the graph has no linear layer, it is
    what its last convolution sees, averaged over the picture; where it has neither, the answer's
    own numbers stand in for it.
    """
    from onnx import TensorProto, helper

    graph = model.graph
    linear = [node for node in graph.node if node.op_type in {"Gemm", "MatMul"}]
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    if output == VECTORS or not (linear or convolutions):
        source = output
    elif linear:
        source = linear[-1].input[0]
    else:
        source = "everloop_pooled"
        seen = convolutions[-1].input[0]
        graph.node.append(helper.make_node("GlobalAveragePool", [seen], [source]))
    graph.node.append(helper.make_node("Flatten", [source], ["embedding"], axis=1))
    graph.output.append(
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", None])
    )
