"""One picture examined: decoded once, proven whole, measured.

Accepts and refuses exactly as `everloop_runtime.images` does. A plain JPEG is decoded by
simplejpeg straight to grey and scaled down in the DCT; anything that is
not plain, or that makes libjpeg warn, goes the runtime's way, which has the last word.
"""

import struct
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from everloop.data.examined import SIGNATURE_LENGTH, THUMBNAIL_SIDE, Bad, DecodingLimits, Reason
from everloop.data.frames import count_frames
from everloop.errors import Refused
from everloop_runtime.images import NotAnImage, open_image, upright

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

_ENOUGH = 256
"""A shorter side of this many pixels or more is reduced before sharpness is measured."""
_ORIENTATION = 0x0112
_UPRIGHT = range(1, 9)
_SOI, _SOS = b"\xff\xd8", 0xDA
_SOF_PLAIN = (0xC0, 0xC1, 0xC2)
_HEADS = frozenset({0xE0, 0xDB, 0xC4, 0xDD, 0xFE, *_SOF_PLAIN})
"""Segments of a JPEG with nothing but a picture in it: JFIF, tables, restart interval, comment."""


@dataclass(slots=True)
class Picture:
    """A decoded picture's facts and its grey pixels."""

    format: str
    width: int
    height: int
    frames: int
    orientation: int
    grey: "Image.Image"
    """Mode L, upright, possibly scaled down to no less than 256 pixels on the shorter side."""


def decode(data: bytes, limits: DecodingLimits) -> Picture | Bad:
    """The picture in `data`, or why there is none."""
    most = limits.image.max_bytes
    if len(data) > most:
        return Bad("too-many-bytes", f"it has {len(data)} bytes; at most {most} are taken")
    found = _plain_jpeg(data, limits)
    return found if found is not None else _as_the_runtime_does(data, limits)


def _as_the_runtime_does(data: bytes, limits: DecodingLimits) -> Picture | Bad:
    try:
        with open_image(data, limits.image) as image:
            frames = count_frames(image, data, limits.max_frames + 1)
            if frames > limits.max_frames:
                told = f"it has more than {limits.max_frames} frames, of which one would count"
                return Bad("too-many-frames", told)
            grey = upright(image, 1)
            turned = image.getexif().get(_ORIENTATION, 1)
            orientation = turned if turned in _UPRIGHT else 1
            facts = (image.format or "", image.width, image.height)
            return Picture(*facts, frames, orientation, grey)
    except Refused as error:
        return Bad(_reason(error), str(error))


def _reason(error: Refused) -> Reason:
    if isinstance(error, NotAnImage):
        return "not-an-image"
    return "too-many-pixels" if "pixels are taken" in str(error) else "broken"


def _plain_jpeg(data: bytes, limits: DecodingLimits) -> Picture | None:
    """A JPEG without metadata, decoded the fast way; None: take the other way."""
    if not _is_plain(data):
        return None
    import simplejpeg

    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in {"YCbCr", "Gray"} or not 0 < height * width <= limits.image.max_pixels:
            return None
        # Strict: whatever makes libjpeg warn, such as missing data, is an error here.
        pixels = simplejpeg.decode_jpeg(
            data, "GRAY", min_height=_ENOUGH, min_width=_ENOUGH, strict=True
        )
    except ValueError:
        return None
    return Picture("JPEG", width, height, 1, 1, _image(pixels[:, :, 0]))


def _is_plain(data: bytes) -> bool:
    """Whether a JPEG's header holds nothing but what decodes its picture."""
    if data[:2] != _SOI:
        return False
    at = 2
    while at + 4 <= len(data):
        mark, kind, size = struct.unpack_from(">BBH", data, at)
        if mark != 0xFF:
            return False
        if kind == _SOS:
            return True
        if kind not in _HEADS:
            return False
        at += 2 + size
    return False


def _image(pixels: "NDArray[np.uint8]") -> "Image.Image":
    from PIL import Image

    return Image.frombuffer("L", pixels.shape[::-1], pixels, "raw", "L", 0, 1)


def thumbnail(grey: "Image.Image") -> "Image.Image":
    """`grey` at 32 x 32, antialiased."""
    from PIL import Image

    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return grey.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def sharpness(grey: "Image.Image") -> float:
    """Variance of the 4-neighbour Laplacian (Pech-Pacheco et al. 2000, "Diatom autofocusing").

    Larger pictures are reduced first, so that figures of different sizes compare.
    """
    import numpy as np

    step = min(grey.width, grey.height) // (_ENOUGH // 2)
    if step > 1:
        grey = grey.reduce(step)
    pixels = np.asarray(grey, np.int16)
    if min(pixels.shape) < 3:
        return 0.0
    edges = pixels[1:-1, :-2] + pixels[1:-1, 2:]
    edges += pixels[:-2, 1:-1]
    edges += pixels[2:, 1:-1]
    edges -= pixels[1:-1, 1:-1] << 2
    flat = edges.ravel().astype(np.float32)
    return float(flat @ flat / flat.size - flat.mean() ** 2)


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
