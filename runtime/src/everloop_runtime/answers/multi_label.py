"""Any number of classes: a probability each, on its own."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from everloop_runtime.answers.class_probabilities import read_probabilities
from everloop_runtime.answers.kind import Tensor, Told, nothing_settled, widest
from everloop_runtime.ids import canonical_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_encode = msgspec.json.Encoder().encode
_LIMIT = 0.5


class MultiLabel:
    """Every class whose probability reaches `limit` belongs to the answer. `values`: `[N, K]`."""

    name = "multi-label"
    output = "probabilities"
    settle = staticmethod(nothing_settled)
    distance = staticmethod(widest)

    def __init__(self, classes: Sequence[str], limit: float = _LIMIT) -> None:
        self.classes = tuple(classes)
        self.limit = limit
        self.shape = (len(self.classes),)
        self.raw_shape = self.shape

    def declaration(self) -> Mapping[str, Any]:
        """The manifest's entry `answer`."""
        return {"kind": self.name, "limit": self.limit}

    def tell(self, values: "NDArray[np.float32]") -> list[Told]:
        """One answer a row; its confidence is that of its least sure decision."""
        import numpy as np

        sure = np.maximum(values, 1 - values).min(axis=1).tolist()
        return [self._one(row, least) for row, least in zip(values.tolist(), sure, strict=True)]

    def _one(self, row: list[float], least: float) -> Told:
        named = [n for n, value in zip(self.classes, row, strict=True) if value >= self.limit]
        body = b'"labels":%b,"confidence":%b,"probabilities":%b' % (
            _encode(named),
            _encode(least),
            _encode(dict(zip(self.classes, row, strict=True))),
        )
        return Told(_text(named), least, body)

    def read(self, told: Mapping[str, Any]) -> "NDArray[np.float32]":
        """The probabilities of an answer, `[K]`."""
        return read_probabilities(told, self.classes)

    def tensors(self) -> Sequence[Tensor]:
        """`probabilities`, and the classes of an answer as JSON."""
        return (Tensor("probabilities", "FP32", self.shape), Tensor("labels", "BYTES", ()))

    def tensor(
        self, name: str, values: "NDArray[np.float32]"
    ) -> "NDArray[np.float32] | Sequence[str]":
        """One of them for N answers."""
        if name == "probabilities":
            return values
        return [
            _encode([n for n, hit in zip(self.classes, row, strict=True) if hit]).decode()
            for row in (values >= self.limit).tolist()
        ]

    def schema(self) -> Mapping[str, Any]:
        """The members of an answer."""
        return {
            "labels": {"type": "array", "items": {"type": "string"}},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1.0001},
            "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
        }


def _text(named: Sequence[str]) -> str:
    """The label's text, as the control plane writes it."""
    return canonical_json({"classes": sorted(named)}).decode()
