"""From what a training function returned to the ONNX graph that everything after it runs.

The graph's contract (see `everloop_runtime.bundle`): input `image`, uint8 `[N, H, W, C]`; outputs
`probabilities`, float32 `[N, K]`, and `embedding`, float32 `[N, D]`. Scaling to 0..1, the layout
change and the softmax are inside the graph, so that training and serving cannot differ in them.
"""

import logging
import sys
import warnings
from typing import TYPE_CHECKING, Any

from everloop.errors import Refused

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

_OPSET = 18
_TOLERANCE = 1e-4


def export(model: Any, images: "NDArray[np.uint8]", classes: int) -> bytes:
    """The ONNX bytes of `model`.

    `images`: uint8 `[N, H, W, C]`, N >= 2, real samples to trace with and to compare on.
    `model`: a `torch.nn.Module` that takes float32 `[N, C, H, W]` from 0 to 1 and returns
    logits `[N, classes]`. Raises `Refused` when it is something else, gives another shape, or
    when the graph's answers differ from the framework's by more than 1e-4.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module):
        raise Refused(
            f"the training function returned {type(model).__name__}; a torch.nn.Module is wanted"
        )
    graph, expected = _export_torch(model, images, classes)
    _expose_embedding(graph)
    data: bytes = graph.SerializeToString()
    _compare(data, images, expected)
    return data


def _export_torch(
    model: Any, images: "NDArray[np.uint8]", classes: int
) -> "tuple[onnx.ModelProto, NDArray[np.float32]]":
    import torch

    class Served(torch.nn.Module):
        """The user's model between the service's pixels and its probabilities."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            scaled = image.permute(0, 3, 1, 2).to(torch.float32) / 255.0
            return torch.softmax(self.model(scaled), dim=1)

    served = Served().cpu().eval()
    pixels = torch.from_numpy(images)
    with torch.no_grad():
        expected = served(pixels)
    if tuple(expected.shape) != (len(images), classes):
        raise Refused(
            f"the model gives {tuple(expected.shape)} for {len(images)} images; "
            f"logits of shape ({len(images)}, {classes}) are wanted, one for each class"
        )
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            served,
            (pixels,),
            dynamo=True,
            input_names=["image"],
            output_names=["probabilities"],
            dynamic_shapes=({0: batch},),
            opset_version=_OPSET,
            verbose=False,
        )
    assert program is not None  # noqa: S101 - without a file name a program is returned
    return _without_traces(program.model_proto), expected.numpy()


def _without_traces(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Stack traces of the tracing name this machine's folders; the bundle's id must not."""
    parts = [model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input]
    for part in [*parts, *model.graph.output, *model.graph.value_info]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model


def _expose_embedding(model: "onnx.ModelProto") -> None:
    """Make the input of the last linear layer a second output, named `embedding`.

    Where the graph has no linear layer, the probabilities stand in for it.
    """
    from onnx import TensorProto, helper

    graph = model.graph
    linear = [node for node in graph.node if node.op_type in {"Gemm", "MatMul"}]
    source = linear[-1].input[0] if linear else "probabilities"
    graph.node.append(helper.make_node("Flatten", [source], ["embedding"], axis=1))
    graph.output.append(
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", None])
    )


def _compare(data: bytes, images: "NDArray[np.uint8]", expected: "NDArray[np.float32]") -> None:
    import numpy as np

    from everloop_runtime.model import Graph

    given = Graph(data).run(images).probabilities
    difference = float(np.max(np.abs(given - expected)))
    if not difference <= _TOLERANCE:
        raise Refused(
            f"the exported graph differs from the framework by {difference:.2g}; "
            f"at most {_TOLERANCE:g} is allowed"
        )
