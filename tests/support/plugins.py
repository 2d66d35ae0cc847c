"""Privacy plug-ins as somebody else would write them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from everloop.policy import PrivacyPolicy
from everloop.privacy.region import Region, Seen


class RedDetector:
    """Covers the box around all red pixels; its setting `least` says how red."""

    def __init__(self, policy: PrivacyPolicy) -> None:
        self._least = int(policy.options.get("red", {}).get("least", 200))

    @property
    def version(self) -> str:
        return "red/1"

    def detect(self, pixels: NDArray[np.uint8]) -> Sequence[Region]:
        red = (pixels[..., 0] >= self._least) & (pixels[..., 1:].max(axis=2) < 50)
        rows, columns = np.nonzero(red)
        if not len(rows):
            return []
        top, left = int(rows.min()), int(columns.min())
        height, width = int(rows.max()) - top + 1, int(columns.max()) - left + 1
        return [Region("red", left, top, width, height, 1.0)]


def no_red(shown: Seen) -> str | None:
    """Holds back whatever something red was covered in."""
    return "red" if any(region.kind == "red" for region in shown.regions) else None
