"""What is most like a sample in an index that travels with the model."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from everloop_runtime.answers.kind import Tensor, Told, nothing_settled, widest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_encode = msgspec.json.Encoder().encode
_CLASS, _SIMILARITY, _ROW = 0, 1, 2


class Hits:
    """The `most` nearest samples of the index, the nearest first.

    `values`: `[N, most, 3]`, for each hit the number of its class, its cosine similarity and its
    row in the index. Search is exact, a matrix product inside the graph.
    """

    name = "hits"
    output = "hits"
    settle = staticmethod(nothing_settled)

    def __init__(self, classes: Sequence[str], most: int, samples: Sequence[str]) -> None:
        """`samples`: the id of each row of the index."""
        self.classes = tuple(classes)
        self.most = most
        self.samples = tuple(samples)
        self.shape = (most, 3)
        self.raw_shape = self.shape
        self._rows = {sample: row for row, sample in enumerate(self.samples)}
        self._numbers = {name: number for number, name in enumerate(self.classes)}

    def declaration(self) -> Mapping[str, Any]:
        """The manifest's entry `answer`."""
        return {"kind": self.name, "most": self.most}

    def distance(
        self, given: "NDArray[np.float32]", expected: "NDArray[np.float32]"
    ) -> "NDArray[np.float64]":
        """The largest difference of a similarity, `[N]`.

        Hits as similar as each other may change places. A hit that is missing counts by how much
        more similar than the last one it should be; one of another class is infinitely far.
        """
        import numpy as np

        apart = widest(given, expected)
        for at in np.flatnonzero(~(np.isfinite(apart) & _same_rows(given, expected))):
            apart[at] = _apart(given[at], expected[at])
        return apart

    def tell(self, values: "NDArray[np.float32]") -> list[Told]:
        """One answer a row; its label is that of the nearest, as is its confidence."""
        return [self._one(hits) for hits in values.tolist()]

    def _one(self, hits: list[list[float]]) -> Told:
        told = [
            {
                "sample": self.samples[int(row)],
                "label": self.classes[int(number)],
                "similarity": similarity,
            }
            for number, similarity, row in hits
        ]
        first = told[0]["label"]
        sure = min(max(hits[0][_SIMILARITY], 0.0), 1.0)
        body = b'"label":%b,"confidence":%b,"hits":%b'
        return Told(str(first), sure, body % (_encode(first), _encode(sure), _encode(told)))

    def read(self, told: Mapping[str, Any]) -> "NDArray[np.float32]":
        """The hits of an answer, `[most, 3]`."""
        import numpy as np

        values = np.full(self.shape, np.nan, np.float32)
        for place, hit in enumerate(list(told.get("hits", ()))[: self.most]):
            values[place] = (
                self._numbers.get(hit.get("label"), np.nan),
                hit.get("similarity", np.nan),
                self._rows.get(hit.get("sample"), np.nan),
            )
        return values

    def tensors(self) -> Sequence[Tensor]:
        """Similarities, labels and sample ids of the hits, and the first hit's label."""
        several = (self.most,)
        return (
            Tensor("similarity", "FP32", several),
            Tensor("hit_label", "BYTES", several),
            Tensor("hit_sample", "BYTES", several),
            Tensor("label", "BYTES", ()),
        )

    def tensor(
        self, name: str, values: "NDArray[np.float32]"
    ) -> "NDArray[np.float32] | Sequence[str]":
        """One of them for N answers; texts of several hits row after row."""
        import numpy as np

        if name == "similarity":
            return np.ascontiguousarray(values[:, :, _SIMILARITY])
        if name == "hit_sample":
            return [self.samples[int(row)] for row in values[:, :, _ROW].reshape(-1)]
        several = values[:, :, _CLASS] if name == "hit_label" else values[:, :1, _CLASS]
        return [self.classes[int(number)] for number in several.reshape(-1)]

    def schema(self) -> Mapping[str, Any]:
        """The members of an answer."""
        hit = {
            "type": "object",
            "required": ["sample", "label", "similarity"],
            "properties": {
                "sample": {"type": "string"},
                "label": {"type": "string"},
                "similarity": {"type": "number"},
            },
        }
        return {
            "label": {"type": "string"},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "hits": {"type": "array", "items": hit},
        }


def _same_rows(
    given: "NDArray[np.float32]", expected: "NDArray[np.float32]"
) -> "NDArray[np.bool_]":
    same: NDArray[np.bool_] = (given[:, :, _ROW] == expected[:, :, _ROW]).all(axis=1)
    return same


def _apart(given: "NDArray[np.float32]", expected: "NDArray[np.float32]") -> float:
    import numpy as np

    if not (np.isfinite(given).all() and np.isfinite(expected).all()):
        return float("inf")
    found = {row: (number, similarity) for number, similarity, row in given.tolist()}
    last, furthest = float(given[:, _SIMILARITY].min()), 0.0
    for number, similarity, row in expected.tolist():
        other = found.get(row)
        if other is not None and other[0] != number:
            return float("inf")
        apart = max(0.0, similarity - last) if other is None else abs(similarity - other[1])
        furthest = max(furthest, apart)
    return furthest
