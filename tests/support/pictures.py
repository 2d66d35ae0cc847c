"""Pictures made on the spot."""

import io

import numpy as np
from PIL import Image


def flat(grey: int, side: int = 8) -> bytes:
    """A PNG of one grey."""
    return png(Image.new("L", (side, side), grey))


def noise(seed: int, side: int = 8) -> bytes:
    """A PNG of noise; each seed gives another."""
    grey = np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)
    return png(Image.fromarray(grey))


def png(image: Image.Image) -> bytes:
    """An image as PNG bytes."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def bar(upright: bool, seed: int, side: int = 16, *, negative: bool = False) -> bytes:
    """A bright bar on noise, upright or lying: two classes that a small model can learn.

    `negative`: as another camera sees it, dark on bright.
    """
    generator = np.random.default_rng(seed)
    grey = generator.integers(0, 60, (side, side)).astype(np.uint8)
    at = int(generator.integers(3, side - 4))
    where = (slice(None), slice(at, at + 3)) if upright else (slice(at, at + 3), slice(None))
    grey[where] = generator.integers(180, 256)
    return png(Image.fromarray(255 - grey if negative else grey))
