"""From what a training function returned to the ONNX graph that everything after it runs.

The graph's contract (see `everloop_runtime.bundle`): input `image`, uint8 `[N, H, W, C]`, or `row`,
float32 `[N, features]`; outputs `embedding`, float32 `[N, D]`, and one that is named by the kind of
answer. What lies between the model and its answer (scaling to 0..1, the layout change, softmax,
sigmoid, the choice of candidate boxes) is inside the graph, so that training and serving cannot
differ in it.
"""

import sys
from typing import TYPE_CHECKING, Any

from everloop.errors import Refused
from everloop.tasks.search_graph import VECTORS
from everloop.training.export_tables import export_table, is_table_model
from everloop_runtime.answers.kind import AnswerKind, widest
from everloop_runtime.model import Graph

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TOLERANCE = 1e-4


def export(model: Any, inputs: "NDArray[Any]", kind: AnswerKind) -> bytes:
    """The ONNX bytes of `model`, which gives answers of `kind`.

    `inputs`: `[N, ...]`, N >= 2, real samples to trace with and to compare on. `model`: a
    `torch.nn.Module` that takes float32 `[N, C, H, W]` from 0 to 1 (or rows `[N, features]`) and
    returns what `export_torch.HEADS` says, a fitted model of scikit-learn, LightGBM or XGBoost
    that takes rows, or an ONNX model as it is. Raises `Refused` when it is
    something else, gives another shape, or when the graph's answers differ from the framework's
    by more than 1e-4.
    """
    data, expected = _exported(model, inputs, kind)
    if expected is not None:
        _compare(data, inputs, expected, kind)
    return data


def _exported(
    model: Any, inputs: "NDArray[Any]", kind: AnswerKind
) -> "tuple[bytes, NDArray[np.float32] | None]":
    """The graph, and what the framework itself answers; None where there is no framework."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        from everloop.training.export_torch import export_torch

        return export_torch(model, inputs, kind)
    onnx = sys.modules.get("onnx")
    if isinstance(model, bytes) or (onnx is not None and isinstance(model, onnx.ModelProto)):
        from everloop.training.graphs import as_it_is

        return as_it_is(model, output_of(kind)), None
    if is_table_model(model):
        return export_table(model, inputs, kind)
    raise Refused(
        f"the training function returned {type(model).__name__}; a torch.nn.Module, a model of "
        "scikit-learn, LightGBM or XGBoost, or an ONNX model is wanted"
    )


def output_of(kind: AnswerKind) -> str:
    """The output by which a framework's graph gives what the answer is made of."""
    return VECTORS if kind.name == "hits" else kind.output


def _compare(
    data: bytes, inputs: "NDArray[Any]", expected: "NDArray[np.float32]", kind: AnswerKind
) -> None:
    output = output_of(kind)
    taken = "image" if inputs.dtype.kind == "u" else "row"
    given = Graph(data, taken=taken, output=output).run(inputs).values
    if given.shape != expected.shape:
        raise Refused(f"the exported graph gives {given.shape} for {expected.shape}")
    if output == VECTORS:
        difference = float(widest(given, expected).max())
    else:
        difference = float(kind.distance(kind.settle(given), kind.settle(expected)).max())
    if not difference <= _TOLERANCE:
        raise Refused(
            f"the exported graph differs from the framework by {difference:.2g}; "
            f"at most {_TOLERANCE:g} is allowed"
        )
