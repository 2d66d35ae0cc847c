"""Boxes around objects, each with a class and a score."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from everloop_runtime.answers.kind import Tensor, Told
from everloop_runtime.ids import Json, canonical_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_encode = msgspec.json.Encoder().encode
_SCORE, _CLASS = 4, 5
_EDGES = ("left", "top", "right", "bottom")
_SAME = 0.5
"""Boxes of one class that overlap by so much (intersection over union) are taken for each other."""


class Boxes:
    """At most `most` boxes a picture, the surest first.

    `values`: `[N, most, 6]`, for each box its left, top, right and bottom edge as shares of the
    upright picture's width and height, its score, and the number of its class; rows of zeros
    follow the last box. The graph gives candidates, `[N, any, 6]`: what is below `least` is left
    out here, and of boxes of one class that overlap by more than `overlap` all but the surest
    (non-maximum suppression).
    """

    name = "boxes"
    output = "boxes"

    def __init__(
        self,
        classes: Sequence[str],
        most: int = 100,
        least: float = 0.05,
        overlap: float = 0.5,
        shown: float = 0.25,
    ) -> None:
        """`shown`: the least score of a box that is told to clients."""
        self.classes = tuple(classes)
        self.most, self.least, self.overlap, self.shown = most, least, overlap, shown
        self.shape = (most, 6)
        self.raw_shape = (None, 6)
        self._numbers = {name: number for number, name in enumerate(self.classes)}

    def declaration(self) -> Mapping[str, Any]:
        """The manifest's entry `answer`."""
        told = {"most": self.most, "least": self.least, "overlap": self.overlap}
        return {"kind": self.name, **told, "shown": self.shown}

    def settle(self, values: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """The boxes of each picture from the graph's candidates."""
        import numpy as np

        settled = np.zeros((len(values), self.most, 6), np.float32)
        for at, candidates in enumerate(values):
            if not np.isfinite(candidates).all():
                settled[at] = np.nan
                continue
            kept = self._kept(candidates[candidates[:, _SCORE] >= self.least])
            settled[at, : len(kept)] = kept
        return settled

    def _kept(self, boxes: "NDArray[np.float32]") -> "NDArray[np.float32]":
        import numpy as np

        numbers = np.clip(np.rint(boxes[:, _CLASS]), 0, len(self.classes) - 1)
        boxes = np.concatenate([np.clip(boxes[:, :4], 0, 1), boxes[:, 4:5], numbers[:, None]], 1)
        left = boxes[np.argsort(-boxes[:, _SCORE], kind="stable")]
        kept: list[NDArray[np.float32]] = []
        while len(left) and len(kept) < self.most:
            first, left = left[0], left[1:]
            kept.append(first)
            twin = (left[:, _CLASS] == first[_CLASS]) & (overlaps(left, first) > self.overlap)
            left = left[~twin]
        return np.stack(kept) if kept else np.zeros((0, 6), np.float32)

    def distance(
        self, given: "NDArray[np.float32]", expected: "NDArray[np.float32]"
    ) -> "NDArray[np.float64]":
        """The largest difference of an edge or score between boxes that belong together, `[N]`.

        A box without its like counts by how far its score is above `least`.
        """
        import numpy as np

        pairs = zip(given, expected, strict=True)
        return np.array([self._apart(a, b) for a, b in pairs], np.float64)

    def _apart(self, given: "NDArray[np.float32]", expected: "NDArray[np.float32]") -> float:
        import numpy as np

        if not (np.isfinite(given).all() and np.isfinite(expected).all()):
            return float("inf")
        left, furthest = given[given[:, _SCORE] > 0], 0.0
        for box in expected[expected[:, _SCORE] > 0]:
            alike = np.where(left[:, _CLASS] == box[_CLASS], overlaps(left, box), 0.0)
            if not len(left) or alike.max() < _SAME:
                furthest = max(furthest, float(box[_SCORE]) - self.least)
                continue
            best = int(alike.argmax())
            furthest = max(furthest, float(np.abs(left[best, :5] - box[:5]).max()))
            left = np.delete(left, best, axis=0)
        alone = float(left[:, _SCORE].max()) - self.least if len(left) else 0.0
        return max(furthest, alone)

    def tell(self, values: "NDArray[np.float32]") -> list[Told]:
        """One answer a picture; its confidence is the score of its surest box."""
        return [self._one(boxes) for boxes in values.tolist()]

    def _one(self, rows: list[list[float]]) -> Told:
        boxes: list[dict[str, Any]] = [
            {
                "label": self.classes[int(row[_CLASS])],
                "score": row[_SCORE],
                **dict(zip(_EDGES, row[:4], strict=True)),
            }
            for row in rows
            if row[_SCORE] >= self.shown and row[_SCORE] > 0
        ]
        sure = rows[0][_SCORE]
        stated: list[Json] = [[box["label"], *(box[edge] for edge in _EDGES)] for box in boxes]
        label = canonical_json({"boxes": sorted(stated, key=str)})
        body = b'"boxes":%b,"confidence":%b' % (_encode(boxes), _encode(sure))
        return Told(label.decode(), sure, body)

    def read(self, told: Mapping[str, Any]) -> "NDArray[np.float32]":
        """The boxes of an answer, `[most, 6]`; those below `shown` were not told."""
        import numpy as np

        values = np.zeros(self.shape, np.float32)
        for place, box in enumerate(list(told.get("boxes", ()))[: self.most]):
            edges = [box.get(edge, np.nan) for edge in _EDGES]
            number = self._numbers.get(box.get("label"), np.nan)
            values[place] = (*edges, box.get("score", np.nan), number)
        return values

    def tensors(self) -> Sequence[Tensor]:
        """Boxes as `[most, 6]`, and as JSON."""
        return (Tensor("boxes", "FP32", self.shape), Tensor("objects", "BYTES", ()))

    def tensor(
        self, name: str, values: "NDArray[np.float32]"
    ) -> "NDArray[np.float32] | Sequence[str]":
        """One of them for N answers."""
        if name == "boxes":
            return values
        return [f"{{{told.body.decode()}}}" for told in self.tell(values)]

    def schema(self) -> Mapping[str, Any]:
        """The members of an answer."""
        number = {"type": "number"}
        share = {"type": "number", "minimum": 0, "maximum": 1}
        box = {
            "type": "object",
            "required": ["label", "score", *_EDGES],
            "properties": {
                "label": {"type": "string"},
                "score": number,
                **dict.fromkeys(_EDGES, share),
            },
        }
        return {"boxes": {"type": "array", "items": box}, "confidence": number}


def overlaps(boxes: "NDArray[np.float32]", box: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Intersection over union of each of `[n, 4 or more]` with one box, `[n]`."""
    import numpy as np

    low = np.maximum(boxes[:, :2], box[:2])
    high = np.minimum(boxes[:, 2:4], box[2:4])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    own = np.clip(boxes[:, 2:4] - boxes[:, :2], 0, None).prod(axis=1)
    its = float(np.clip(box[2:4] - box[:2], 0, None).prod())
    together: NDArray[np.float32] = shared / np.maximum(own + its - shared, 1e-12)
    return together
