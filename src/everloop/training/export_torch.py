"""A PyTorch model as an ONNX graph of the contract."""

import logging
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from everloop.errors import Refused
from everloop.training.graphs import expose_embedding, without_traces
from everloop_runtime.answers.kind import AnswerKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_OPSET = 18
_BATCH = 256
_CANDIDATES = 300
"""Boxes a picture that the graph hands on to non-maximum suppression."""


def _candidates(given: Any) -> torch.Tensor:
    """The surest of all boxes and classes, `[N, candidates, 6]`."""
    boxes, scores = given
    count, classes = scores.shape[1], scores.shape[2]
    best, places = scores.flatten(1).topk(min(_CANDIDATES, count * classes), dim=1)
    rows = torch.div(places, classes, rounding_mode="floor")
    edges = torch.gather(boxes, 1, rows.unsqueeze(-1).expand(-1, -1, 4))
    numbers = torch.remainder(places, classes).to(torch.float32)
    return torch.cat([edges, best.unsqueeze(-1), numbers.unsqueeze(-1)], dim=2)


Head = Callable[[Any], torch.Tensor]

HEADS: Mapping[str, tuple[Head, str]] = {
    "class-probabilities": (lambda g: torch.softmax(g, dim=1), "logits (N, classes)"),
    "multi-label": (torch.sigmoid, "logits (N, classes)"),
    "figure": (lambda g: g.reshape(-1, 1), "figures (N,) or (N, 1)"),
    "hits": (lambda g: torch.nn.functional.normalize(g, dim=1), "vectors (N, any number)"),
    "boxes": (
        _candidates,
        "edges (N, boxes, 4), as shares of the picture, and scores (N, boxes, classes), 0 to 1",
    ),
}
"""By the kind of answer: what follows the user's model, and what that is to return."""


def export_torch(
    model: torch.nn.Module, inputs: "NDArray[Any]", kind: AnswerKind
) -> "tuple[bytes, NDArray[np.float32]]":
    """The graph, and what the framework answers to `inputs`. Raises `Refused` for other shapes."""
    from everloop.training.export import output_of

    head, wanted = HEADS[kind.name]
    served = _Served(model, head).cpu().eval()
    taken = torch.from_numpy(inputs)
    try:
        with torch.no_grad():
            expected: NDArray[np.float32] = served(taken).numpy()
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise Refused(f"the model cannot be run as served: {error}; wanted: {wanted}") from error
    shape = (None,) if kind.name == "hits" else kind.raw_shape
    if len(expected) != len(inputs) or not _fits(expected.shape[1:], shape):
        raise Refused(
            f"the model gives {expected.shape} for {len(inputs)} samples of {kind.name}, where "
            f"{shape} is wanted for each: it is to return {wanted}"
        )
    return _traced(served, taken, output_of(kind)), expected


def torch_answers(
    model: torch.nn.Module, inputs: "NDArray[Any]", kind: AnswerKind
) -> "NDArray[np.float32]":
    """What the framework itself answers to samples `[N, ...]`, in batches of bounded size.

    Raises `Refused` when the model cannot be run as it would be served.
    """
    import numpy as np

    head, wanted = HEADS[kind.name]
    served = _Served(model, head).cpu().eval()
    try:
        with torch.no_grad():
            parts = [
                served(torch.from_numpy(inputs[at : at + _BATCH])).numpy()
                for at in range(0, len(inputs), _BATCH)
            ]
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise Refused(f"the model cannot be run as served: {error}; wanted: {wanted}") from error
    return np.concatenate(parts)


class _Served(torch.nn.Module):
    """The user's model between what the service takes and what it answers."""

    def __init__(self, model: torch.nn.Module, head: Head) -> None:
        super().__init__()
        self.model = model
        self.head = head

    def forward(self, taken: torch.Tensor) -> torch.Tensor:
        if taken.dtype == torch.uint8:
            taken = taken.permute(0, 3, 1, 2).to(torch.float32) / 255.0
        return self.head(self.model(taken))


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(
        b is None or a == b for a, b in zip(found, wanted, strict=True)
    )


def _traced(served: torch.nn.Module, taken: torch.Tensor, output: str) -> bytes:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            served,
            (taken,),
            dynamo=True,
            input_names=["image" if taken.dtype == torch.uint8 else "row"],
            output_names=[output],
            dynamic_shapes=({0: batch},),
            opset_version=_OPSET,
            verbose=False,
        )
    assert program is not None  # noqa: S101 - without a file name a program is returned
    graph = without_traces(program.model_proto)
    expose_embedding(graph, output)
    data: bytes = graph.SerializeToString()
    return data
