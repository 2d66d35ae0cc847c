"""The prediction service with a mistake in its preprocessing planted in it.

Run as `python -m tests.support.wrong_service PLACE MISTAKE OPTIONS...`. PLACE is `request`: only
what comes over HTTP is prepared wrongly; or `everywhere`: the golden inputs too. MISTAKE is one of
`MISTAKES`, each a classic way to be right offline and wrong live.
"""

import sys
from collections.abc import Callable
from typing import Any

from everloop_runtime import images, model, predicting, samples
from everloop_runtime.images import DEFAULT_LIMITS, ImageLimits, ImageSpec
from everloop_runtime.main import main
from everloop_runtime.rows import RowSpec


def _darker(data: bytes, spec: ImageSpec, limits: ImageLimits = DEFAULT_LIMITS) -> Any:
    """Another scale: pixels at 80% of what they should be."""
    return (images.to_array(data, spec, limits) * 0.8).astype("uint8")


def _other_mean(data: bytes, spec: ImageSpec, limits: ImageLimits = DEFAULT_LIMITS) -> Any:
    """Another mean: each pixel 12 of 255 too high."""
    return (images.to_array(data, spec, limits).astype("int16") + 12).clip(0, 255).astype("uint8")


def _bgr(data: bytes, spec: ImageSpec, limits: ImageLimits = DEFAULT_LIMITS) -> Any:
    """Blue for red, as OpenCV reads."""
    return images.to_array(data, spec, limits)[:, :, ::-1]


def _nearest(data: bytes, spec: ImageSpec, limits: ImageLimits = DEFAULT_LIMITS) -> Any:
    """Another interpolation: the nearest pixel instead of the mean of those around."""
    import numpy as np
    from PIL import Image

    with images.open_image(data, limits) as image:
        pixels = images.upright(image, spec.channels)
    near = pixels.resize((spec.width, spec.height), Image.Resampling.NEAREST)
    return np.asarray(near).reshape(spec.height, spec.width, spec.channels)


def _swapped(data: bytes, spec: RowSpec, limits: ImageLimits = DEFAULT_LIMITS) -> Any:
    """Two columns in each other's place."""
    numbers = samples.to_input(data, spec, limits).copy()
    numbers[[0, 1]] = numbers[[1, 0]]
    return numbers


def _filled(data: bytes, spec: RowSpec, limits: ImageLimits = DEFAULT_LIMITS) -> Any:
    """Zero for what is missing."""
    import numpy as np

    return np.nan_to_num(samples.to_input(data, spec, limits))


MISTAKES: dict[str, Callable[..., Any]] = {
    "darker": _darker,
    "other-mean": _other_mean,
    "bgr": _bgr,
    "nearest": _nearest,
    "swapped": _swapped,
    "filled": _filled,
    "none": samples.to_input,
}

if __name__ == "__main__":
    place, mistake = sys.argv[1], MISTAKES[sys.argv[2]]
    predicting.to_input = mistake  # type: ignore[attr-defined]
    if place == "everywhere":
        model.to_input = mistake  # type: ignore[attr-defined]
    sys.exit(main(sys.argv[3:]))
