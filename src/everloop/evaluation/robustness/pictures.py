"""Ways to damage pictures, each at five strengths.

After Hendrycks and Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions
and Perturbations": their kinds, written anew, applied to the picture at the size the model sees.
The strengths are stated beside each; those in pixels grow with the picture's shorter side.
"""

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Pictures: TypeAlias = NDArray[np.uint8]
    """`[N, H, W, C]`"""
    Damage: TypeAlias = Callable[[Pictures, int, np.random.Generator], Pictures]

_NOISE = (0.04, 0.08, 0.12, 0.18, 0.26)
"""Standard deviation, of the range from black to white."""
_PHOTONS = (60, 25, 12, 5, 3)
"""At full white; fewer are noisier."""
_BLUR = (0.005, 0.01, 0.015, 0.02, 0.03)
"""Standard deviation of the Gaussian, of the shorter side; at least 0.3 pixels a strength."""
_LIGHT = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Added or taken away, of the range."""
_CONTRAST = (0.75, 0.6, 0.45, 0.3, 0.15)
"""What is left of each pixel's distance from the picture's mean."""
_JPEG = (50, 30, 20, 12, 7)
"""The encoder's quality."""
_DEGREES = (5, 10, 15, 22, 30)
"""Half of the pictures one way, half the other; edges are drawn out."""
_SCALE = (0.6, 0.5, 0.4, 0.3, 0.25)
"""To this part of its sides and back."""
_COVERED = (0.02, 0.05, 0.1, 0.18, 0.3)
"""The part of the picture under one square of its mean colour, anywhere."""


def _clipped(values: "NDArray[np.floating]") -> "Pictures":
    import numpy as np

    found: Pictures = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return found


def gaussian_noise(
    pictures: "Pictures", severity: int, generator: "np.random.Generator"
) -> "Pictures":
    """Noise of a sensor that gets warm."""
    spread = 255 * _NOISE[severity - 1]
    return _clipped(pictures + generator.normal(0, spread, pictures.shape))


def shot_noise(pictures: "Pictures", severity: int, generator: "np.random.Generator") -> "Pictures":
    """Noise of little light."""
    photons = _PHOTONS[severity - 1] / 255
    return _clipped(generator.poisson(pictures * photons) / photons)


def blur(pictures: "Pictures", severity: int, _generator: "np.random.Generator") -> "Pictures":
    """Out of focus."""
    import numpy as np
    from scipy.ndimage import gaussian_filter

    spread = max(_BLUR[severity - 1] * min(pictures.shape[1:3]), 0.3 * severity)
    return _clipped(gaussian_filter(pictures.astype(np.float32), (0, spread, spread, 0)))


def brightness(
    pictures: "Pictures", severity: int, _generator: "np.random.Generator"
) -> "Pictures":
    """Too much light."""
    return _clipped(pictures + 255 * _LIGHT[severity - 1])


def darkness(pictures: "Pictures", severity: int, _generator: "np.random.Generator") -> "Pictures":
    """Too little light, without the noise."""
    return _clipped(pictures - 255 * _LIGHT[severity - 1])


def contrast(pictures: "Pictures", severity: int, _generator: "np.random.Generator") -> "Pictures":
    """Haze, or a dirty lens."""
    mean = pictures.mean(axis=(1, 2), keepdims=True)
    return _clipped((pictures - mean) * _CONTRAST[severity - 1] + mean)


def jpeg(pictures: "Pictures", severity: int, _generator: "np.random.Generator") -> "Pictures":
    """Compressed too much."""
    import numpy as np
    from PIL import Image

    found = np.empty_like(pictures)
    for place, pixels in enumerate(pictures):
        out = io.BytesIO()
        _image(pixels).save(out, "JPEG", quality=_JPEG[severity - 1])
        with Image.open(out, formats=("JPEG",)) as image:
            found[place] = np.asarray(image).reshape(pixels.shape)
    return found


def rotation(pictures: "Pictures", severity: int, generator: "np.random.Generator") -> "Pictures":
    """Held askew."""
    import numpy as np
    from scipy.ndimage import rotate

    degrees, left = _DEGREES[severity - 1], generator.random(len(pictures)) < 0.5
    found = np.empty(pictures.shape, np.float32)
    for those, angle in ((left, degrees), (~left, -degrees)):
        if those.any():
            turned = pictures[those].astype(np.float32)
            found[those] = rotate(
                turned, angle, axes=(2, 1), reshape=False, order=1, mode="nearest"
            )
    return _clipped(found)


def pixelate(pictures: "Pictures", severity: int, _generator: "np.random.Generator") -> "Pictures":
    """Enlarged from a small picture."""
    import numpy as np
    from PIL import Image

    height, width = pictures.shape[1:3]
    scale = _SCALE[severity - 1]
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    found = np.empty_like(pictures)
    for place, pixels in enumerate(pictures):
        image = _image(pixels).resize(small, Image.Resampling.BOX)
        whole = image.resize((width, height), Image.Resampling.NEAREST)
        found[place] = np.asarray(whole).reshape(pixels.shape)
    return found


def occlusion(pictures: "Pictures", severity: int, generator: "np.random.Generator") -> "Pictures":
    """Something in front of it."""
    height, width = pictures.shape[1:3]
    side = _COVERED[severity - 1] ** 0.5
    high, wide = max(1, round(height * side)), max(1, round(width * side))
    found = pictures.copy()
    tops = generator.integers(0, height - high + 1, len(pictures))
    lefts = generator.integers(0, width - wide + 1, len(pictures))
    for pixels, top, left in zip(found, tops, lefts, strict=True):
        pixels[top : top + high, left : left + wide] = pixels.mean(axis=(0, 1))
    return found


def _image(pixels: "NDArray[np.uint8]") -> "Image.Image":
    from PIL import Image

    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


DAMAGES: "Mapping[str, Damage]" = {
    "gaussian-noise": gaussian_noise,
    "shot-noise": shot_noise,
    "blur": blur,
    "brightness": brightness,
    "darkness": darkness,
    "contrast": contrast,
    "jpeg": jpeg,
    "rotation": rotation,
    "pixelate": pixelate,
    "occlusion": occlusion,
}
MOVING = frozenset({"rotation"})
"""Those after which a box is no longer where it was drawn."""
