"""What is found wrong with an ONNX graph before any library is asked to load it.

The bytes are walked as Protocol Buffers against the few messages of `onnx.proto3` that can refer
to something outside the file or to code that is not ONNX's own. Each occurrence of a field counts,
as a parser may merge them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from everloop_runtime.errors import Refused

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
"""Operators defined by the ONNX standard."""
_CONTROL = frozenset({b"Loop", b"Scan", b"If"})
_MOST_NODES = 200_000
_DEEPEST = 32
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10

_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
    "opset": {},
}
"""Which fields of a message hold which message."""
_MODEL_TRAINING, _MODEL_FUNCTIONS = 20, 25
_NODE_OPERATOR, _NODE_DOMAIN = 4, 7
_OPSET_DOMAIN = 1
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """What a graph that may be loaded holds."""

    nodes: int
    control_flow: bool
    """Whether it has loops or branches: only then can a run take unbounded time."""


def check_graph(onnx: bytes) -> GraphFacts:
    """The facts of a graph; loads and allocates nothing.

    Raises `Refused` when it is not an ONNX model, when weights lie outside the file, when an
    operator is not of the standard's domains, and when it carries functions or training steps.
    """
    walk = _Walk()
    if not onnx:
        raise Refused("the graph cannot be loaded: it has no bytes")
    walk.message("model", memoryview(onnx), 0)
    if not walk.graphs:
        raise Refused("the graph cannot be loaded: the file holds no ONNX graph")
    return GraphFacts(walk.nodes, walk.control_flow)


class _Walk:
    """One walk over a model."""

    def __init__(self) -> None:
        self.nodes = 0
        self.graphs = 0
        self.control_flow = False

    def message(self, kind: str, data: memoryview, depth: int) -> None:
        if depth > _DEEPEST:
            raise Refused(f"the graph is nested deeper than {_DEEPEST} levels")
        self.graphs += kind == "graph"
        self.nodes += kind == "node"
        if self.nodes > _MOST_NODES:
            raise Refused(f"the graph has more than {_MOST_NODES} nodes")
        for field, value in _fields(data):
            self._judge(kind, field, value)
            inside = _INSIDE[kind].get(field)
            if inside is not None and isinstance(value, memoryview):
                self.message(inside, value, depth + 1)

    def _judge(self, kind: str, field: int, value: "int | memoryview") -> None:
        if kind == "tensor":
            _judge_tensor(field, value)
        elif (kind, field) in {("node", _NODE_DOMAIN), ("opset", _OPSET_DOMAIN)}:
            _judge_domain(value)
        elif (kind, field) == ("node", _NODE_OPERATOR) and isinstance(value, memoryview):
            self.control_flow |= bytes(value[:8]) in _CONTROL
        elif kind == "model" and field in {_MODEL_FUNCTIONS, _MODEL_TRAINING}:
            raise Refused("the graph carries functions or training steps; plain operators only")


def _judge_tensor(field: int, value: "int | memoryview") -> None:
    if field == _TENSOR_EXTERNAL or (field == _TENSOR_LOCATION and value != 0):
        raise Refused("the graph refers to weights outside its file; all must be inside it")


def _judge_domain(value: "int | memoryview") -> None:
    name = bytes(value).decode(errors="replace") if isinstance(value, memoryview) else str(value)
    if name not in DOMAINS:
        raise Refused(
            f"the graph uses operators of the domain {name[:60]!r}; only those of the ONNX "
            "standard (ai.onnx, ai.onnx.ml) run everywhere"
        )


def _fields(data: memoryview) -> "Iterator[tuple[int, int | memoryview]]":
    """Number and value of each field: an integer, or the bytes of a text or message."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        field, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            number, at = _varint(data, at)
            yield field, number
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise Refused("the graph cannot be loaded: it is not an ONNX model")
        if field == 0 or length > end - at:
            raise Refused("the graph cannot be loaded: it is cut off or not an ONNX model")
        if wire == _BYTES:
            yield field, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    number = 0
    for place in range(_LONGEST_VARINT):
        if at + place >= len(data):
            break
        byte = data[at + place]
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, at + place + 1
    raise Refused("the graph cannot be loaded: it is cut off or not an ONNX model")
