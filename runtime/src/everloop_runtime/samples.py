"""From a sample's original bytes to what the graph takes, whatever kind of sample it is."""

from typing import TYPE_CHECKING, Any, TypeAlias

from everloop_runtime.images import DEFAULT_LIMITS, ImageLimits, ImageSpec, to_array
from everloop_runtime.rows import RowSpec, to_numbers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Spec: TypeAlias = ImageSpec | RowSpec
"""What a model takes: uint8 pixels, or one float32 a column."""


def to_input(data: bytes, spec: Spec, limits: ImageLimits = DEFAULT_LIMITS) -> "NDArray[Any]":
    """The graph's input for one sample, `[*spec.shape]`.

    Raises `NotAnImage`, `NotARow` or `Refused` with the reason when the bytes cannot be taken.
    """
    if isinstance(spec, ImageSpec):
        return to_array(data, spec, limits)
    return to_numbers(data, spec)


def input_name(spec: Spec) -> str:
    """What the graph's input is called: `image`, or `row`."""
    return "image" if isinstance(spec, ImageSpec) else "row"


def input_type(spec: Spec) -> "np.dtype[Any]":
    """The type of its numbers."""
    import numpy as np

    return np.dtype("uint8" if isinstance(spec, ImageSpec) else "<f4")
