"""Making regions unreadable, for good: what a region held is not in the result's pixels."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from everloop.privacy.region import Region

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BLOCKS = 5
"""A blurred region keeps this many averages along its longer side, whatever its size: too few
to tell a face. A Gaussian alone could be undone in part (deconvolution); averages cannot."""


def cover(pixels: "NDArray[np.uint8]", regions: Iterable[Region]) -> "NDArray[np.uint8]":
    """A copy of `pixels` (`[height, width, 3]`) in which the regions cannot be read.

    `black` regions are zeros. `blur` regions are a handful of averages, smoothly spread.
    """
    covered = pixels.copy()
    # Black last: nothing is averaged out from under it.
    for region in sorted(regions, key=lambda region: region.cover == "black"):
        place = _inside(region, pixels)
        if place is None:
            continue
        patch = covered[place]
        covered[place] = 0 if region.cover == "black" else _blur(patch)
    return covered


def _inside(region: Region, pixels: "NDArray[np.uint8]") -> tuple[slice, slice] | None:
    height, width = pixels.shape[:2]
    left, top = max(region.left, 0), max(region.top, 0)
    right = min(region.left + region.width, width)
    bottom = min(region.top + region.height, height)
    if left >= right or top >= bottom:
        return None
    return slice(top, bottom), slice(left, right)


def _blur(patch: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    import numpy as np
    from PIL import Image

    height, width = patch.shape[:2]
    longer = max(height, width)
    rows, columns = (max(1, round(_BLOCKS * side / longer)) for side in (height, width))
    image = Image.fromarray(patch)
    few = image.resize((columns, rows), Image.Resampling.BOX)
    return np.asarray(few.resize((width, height), Image.Resampling.BICUBIC))
