"""One class of several: a probability each, which add up to 1."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from everloop_runtime.answers.kind import Tensor, Told, nothing_settled, widest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_encode = msgspec.json.Encoder().encode


class ClassProbabilities:
    """The class of the largest probability is the answer. `values`: `[N, K]`."""

    name = "class-probabilities"
    output = "probabilities"
    settle = staticmethod(nothing_settled)
    distance = staticmethod(widest)

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.shape = (len(self.classes),)
        self.raw_shape = self.shape
        self._labels = [_encode(name) for name in self.classes]
        self._object = object_of(self.classes)

    def declaration(self) -> Mapping[str, Any]:
        """The manifest's entry `answer`."""
        return {"kind": self.name}

    def tell(self, values: "NDArray[np.float32]") -> list[Told]:
        """One answer a row."""
        best = values.argmax(axis=1).tolist()
        return [
            Told(
                self.classes[winner],
                row[winner],
                b'"label":%b,"confidence":%b,"probabilities":%b'
                % (
                    self._labels[winner],
                    _encode(row[winner]),
                    self._object(row),
                ),
            )
            for winner, row in zip(best, values.tolist(), strict=True)
        ]

    def read(self, told: Mapping[str, Any]) -> "NDArray[np.float32]":
        """The probabilities of an answer, `[K]`."""
        return read_probabilities(told, self.classes)

    def tensors(self) -> Sequence[Tensor]:
        """`probabilities`, and the answer as a text."""
        return (Tensor("probabilities", "FP32", self.shape), Tensor("label", "BYTES", ()))

    def tensor(
        self, name: str, values: "NDArray[np.float32]"
    ) -> "NDArray[np.float32] | Sequence[str]":
        """One of them for N answers."""
        if name == "probabilities":
            return values
        return [self.classes[index] for index in values.argmax(axis=1).tolist()]

    def schema(self) -> Mapping[str, Any]:
        """The members of an answer."""
        return {
            "label": {"type": "string"},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1.0001},
            "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
        }


def object_of(names: Sequence[str]) -> Callable[[Sequence[float]], bytes]:
    """What writes numbers, one a name, as a JSON object.

    >>> object_of(("cat", "dog"))([0.25, 0.75])
    b'{"cat":0.25,"dog":0.75}'
    """
    fields = [(f"n{at}", float) for at in range(len(names))]
    called = {field: name for (field, _), name in zip(fields, names, strict=True)}
    try:
        # A type of its own is written several times as fast as a dictionary.
        made = msgspec.defstruct("Numbers", fields, rename=called)
    except ValueError:
        # It takes no names that need escaping.
        return lambda row: _encode(dict(zip(names, row, strict=True)))
    return lambda row: _encode(made(*row))


def read_probabilities(told: Mapping[str, Any], classes: Sequence[str]) -> "NDArray[np.float32]":
    """The `probabilities` of an answer in the order of the classes; NaN where one is missing."""
    import numpy as np

    given = told.get("probabilities")
    given = given if isinstance(given, Mapping) else {}
    return np.array([given.get(name, np.nan) for name in classes], np.float32)
