"""Figures of picture files as they come in, before anything is scaled: what a camera or an app
changes without a word."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from everloop.errors import Refused
from everloop_runtime.images import FORMATS, ImageSpec, inspect
from everloop_runtime.samples import Spec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE_FORMATS = tuple(f"{kind} file" for kind in FORMATS)
"""Figures that are 1 where a file is of that format, and 0 elsewhere."""
FILE_FIGURES = (*FILE_FORMATS, "file width", "file height", "file size")
"""The names of all: the formats, pixels, pixels, and the decimal logarithm of the bytes."""


Facts = tuple[float, ...]
"""Of one file, in the order of `FILE_FIGURES`."""


def file_facts(data: bytes, spec: Spec) -> Facts | None:
    """What the header of a picture file says; nothing is decoded.

    None where it cannot be read, and where samples are rows.
    """
    if not isinstance(spec, ImageSpec):
        return None
    try:
        found = inspect(data)
    except Refused:
        return None
    kinds = (float(found.format == kind) for kind in FORMATS)
    return *kinds, found.width, found.height, math.log10(len(data))


def file_figures(facts: Sequence[Facts]) -> "Mapping[str, NDArray[np.float32]]":
    """The facts of `n` files as figures by name, `[n]` each; nothing of no file."""
    import numpy as np

    if not facts:
        return {}
    return dict(zip(FILE_FIGURES, np.array(facts, np.float32).T, strict=True))
