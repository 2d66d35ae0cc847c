"""One figure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from everloop_runtime.answers.kind import Tensor, Told, nothing_settled
from everloop_runtime.ids import canonical_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_encode = msgspec.json.Encoder().encode


class Figure:
    """A figure, in the unit that was learnt. `values`: `[N, 1]`."""

    name = "figure"
    output = "value"
    shape = (1,)
    raw_shape = (1,)
    settle = staticmethod(nothing_settled)

    def declaration(self) -> Mapping[str, Any]:
        """The manifest's entry `answer`."""
        return {"kind": self.name}

    def distance(
        self, given: "NDArray[np.float32]", expected: "NDArray[np.float32]"
    ) -> "NDArray[np.float64]":
        """Differences as shares of the expected figure where that is larger than 1, `[N]`."""
        import numpy as np

        exact = expected.astype(np.float64)
        apart = (np.abs(given - exact) / np.maximum(np.abs(exact), 1)).reshape(len(given))
        return np.where(np.isfinite(apart), apart, np.inf)

    def tell(self, values: "NDArray[np.float32]") -> list[Told]:
        """One answer a row; a figure comes without a confidence."""
        return [
            Told(canonical_json({"value": value}).decode(), None, b'"value":%b' % _encode(value))
            for (value,) in values.tolist()
        ]

    def read(self, told: Mapping[str, Any]) -> "NDArray[np.float32]":
        """The figure of an answer, `[1]`."""
        import numpy as np

        return np.array([told.get("value", np.nan)], np.float32)

    def tensors(self) -> Sequence[Tensor]:
        """The figure."""
        return (Tensor("value", "FP32", (1,)),)

    def tensor(
        self,
        name: str,  # noqa: ARG002 - there is one tensor
        values: "NDArray[np.float32]",
    ) -> "NDArray[np.float32] | Sequence[str]":
        """It for N answers."""
        return values

    def schema(self) -> Mapping[str, Any]:
        """The members of an answer."""
        return {"value": {"type": "number"}}
