"""What a grey picture measures: how light, how varied, how sharp, what it looks like from afar.

Pictures are measured a batch at a time: one call of NumPy costs as much as a small picture.
"""

from functools import cache
from typing import TYPE_CHECKING

from everloop.data.examined import SIGNATURE_LENGTH, THUMBNAIL_SIDE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

ENOUGH = 256
"""A shorter side of this many pixels or more is reduced before sharpness is measured."""
_AT_ONCE = 32_768
"""Pixels that are measured together: their sums stay in the processor's cache."""


def thumbnail(grey: "Image.Image") -> "Image.Image":
    """`grey` at 32 x 32, antialiased."""
    from PIL import Image

    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return grey.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def for_sharpness(
    grey: "Image.Image", pixels: "NDArray[np.uint8] | None" = None
) -> "NDArray[np.uint8]":
    """The pixels `[H, W]` of which sharpness is measured, the shorter side below 256.

    Larger pictures are reduced, so that figures of different sizes compare. `pixels`: those of
    `grey`, where they are at hand.
    """
    import numpy as np

    step = min(grey.width, grey.height) // (ENOUGH // 2)
    if step > 1:
        grey, pixels = grey.reduce(step), None
    if pixels is None:
        pixels = np.frombuffer(grey.tobytes(), np.uint8).reshape(grey.height, grey.width)
    return pixels


class Sharpness:
    """Variance of the 4-neighbour Laplacian (Pech-Pacheco et al. 2000, "Diatom autofocusing").

    Pictures are added one by one; those of one size are measured together.
    """

    def __init__(self, count: int) -> None:
        self.found = [0.0] * count
        """By number; 0 for those that were not added, or have a side below 3."""
        self._held: dict[tuple[int, ...], list[tuple[int, NDArray[np.uint8]]]] = {}

    def add(self, number: int, pixels: "NDArray[np.uint8]") -> None:
        """Take a picture of `[H, W]`."""
        if min(pixels.shape) < 3:
            return
        held = self._held.setdefault(pixels.shape, [])
        held.append((number, pixels))
        if len(held) * pixels.size >= _AT_ONCE:
            self._measure(self._held.pop(pixels.shape))

    def finish(self) -> list[float]:
        """Those of all pictures."""
        while self._held:
            self._measure(self._held.popitem()[1])
        return self.found

    def _measure(self, held: "list[tuple[int, NDArray[np.uint8]]]") -> None:
        import numpy as np

        count, (high, wide) = len(held), held[0][1].shape
        pixels = np.empty((count, high, wide), np.int16)
        for place, (_, each) in enumerate(held):
            pixels[place] = each
        # All rows of all pictures as one: what is across their edges is left out at the end.
        line, edges = pixels.reshape(-1), np.empty(pixels.size, np.int16)
        inner = edges[: -2 * wide - 2]
        np.add(line[wide : -wide - 2], line[wide + 2 : -wide], out=inner)
        inner += line[1 : -2 * wide - 1]
        inner += line[2 * wide + 1 : -1]
        line *= 4
        inner -= line[wide + 1 : -wide - 1]
        flat = edges.reshape(count, high, wide)[:, :-2, :-2].astype(np.float32).reshape(count, -1)
        ones = np.ones(flat.shape[1], np.float32)
        for (number, _), row in zip(held, flat, strict=True):
            self.found[number] = float(row @ row / row.size - (row @ ones / row.size) ** 2)


def tones(histograms: "NDArray[np.int64]") -> "NDArray[np.float32]":
    """Mean, standard deviation and entropy (bits) of histograms `[N, 256]`, as `[N, 3]`."""
    import numpy as np

    shares = histograms / histograms.sum(axis=1, keepdims=True)
    levels = np.arange(256.0)
    mean = shares @ levels
    spread = np.sqrt(np.maximum(shares @ levels**2 - mean**2, 0.0))
    logs = np.log2(np.where(shares > 0, shares, 1.0))
    return np.stack([mean, spread, -(shares * logs).sum(axis=1)], axis=1).astype(np.float32)


def signatures(thumbnails: "NDArray[np.uint8]") -> "NDArray[np.float16]":
    """Unit vectors `[N, 64]` of thumbnails `[N, 32, 32]`: what they look like from afar.

    The 64 lowest frequencies of the discrete cosine transform but the constant one, so that
    neither brightness nor contrast counts; the vectors of copies have a cosine near 1. A picture
    of one tone is all zero, and near nothing. (pHash keeps the signs of such frequencies only:
    Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions".)
    """
    import numpy as np

    flat = thumbnails.reshape(-1, THUMBNAIL_SIDE**2).astype(np.float32)
    found = flat @ _lowest_frequencies()
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return (found / np.where(lengths > 1.0, lengths, np.inf)).astype(np.float16)


@cache
def _lowest_frequencies() -> "NDArray[np.float32]":
    """Those of the orthonormal DCT-II of 32 x 32, as columns `[1024, 64]`."""
    import numpy as np

    side = THUMBNAIL_SIDE
    rows, columns = np.arange(side)[:, None], np.arange(side)[None, :]
    basis = np.cos(np.pi * rows * (2 * columns + 1) / (2 * side)) * np.sqrt(2 / side)
    basis[0] /= np.sqrt(2)
    down, across = np.divmod(np.arange(side * side), side)
    order = np.lexsort((down, down + across))[1 : SIGNATURE_LENGTH + 1]
    waves = [np.outer(basis[down[at]], basis[across[at]]).ravel() for at in order]
    return np.stack(waves, axis=1).astype(np.float32)
