"""Pictures with as much in them as photographs."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def scene(seed: int, side: int = 96) -> Image.Image:
    """A picture with as much in it as a photograph: shapes, shade and grain."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(30, 226, (7, 7, 3), np.uint8)
    image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    pixels: NDArray[np.int16] = np.asarray(image, np.int16).copy()
    for _ in range(6):
        top, left = generator.integers(0, side - 24, 2)
        pixels[top : top + 24, left : left + 16] = generator.integers(0, 256, 3)
    pixels += generator.integers(-8, 9, pixels.shape, np.int16)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int = 85) -> bytes:
    """An image as JPEG bytes."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()
