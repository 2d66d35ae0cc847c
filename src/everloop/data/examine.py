"""One picture decoded once and proven whole; `everloop.data.figures` measures it.

Accepts and refuses exactly as `everloop_runtime.images` does. A plain JPEG is decoded by
simplejpeg straight to grey and scaled down in the DCT, and a plain PNG is handed to Pillow's
decoder without the rest of Pillow, which costs more than a small picture itself; anything that
is not plain, or that makes a decoder complain, goes the runtime's way, which has the last word.
"""

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from everloop.data.examined import Bad, DecodingLimits, Reason
from everloop.data.figures import ENOUGH
from everloop.data.frames import count_frames
from everloop.errors import Refused
from everloop_runtime.images import NotAnImage, open_image, upright

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

_ORIENTATION = 0x0112
_UPRIGHT = range(1, 9)
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_MODES = {(8, 0): "L", (8, 2): "RGB"}
_PNG_NOTES = {b"gAMA": 4, b"sRGB": 1, b"pHYs": 9, b"cHRM": 32, b"tIME": 7}
"""Chunks that change no pixel, with their lengths."""
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
    pixels: "NDArray[np.uint8] | None" = None
    """The same as `[H, W]`, where the decoder gave it so."""


def decode(data: bytes, limits: DecodingLimits) -> Picture | Bad:
    """The picture in `data`, or why there is none."""
    most = limits.image.max_bytes
    if len(data) > most:
        return Bad("too-many-bytes", f"it has {len(data)} bytes; at most {most} are taken")
    found = _plain_png(data, limits) if data.startswith(_PNG) else _plain_jpeg(data, limits)
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
            data, "GRAY", min_height=ENOUGH, min_width=ENOUGH, strict=True
        )
    except ValueError:
        return None
    flat = pixels[:, :, 0]
    return Picture("JPEG", width, height, 1, 1, _image(flat), flat)


def _plain_png(data: bytes, limits: DecodingLimits) -> Picture | None:
    """A PNG of 8 bits, grey or RGB, with nothing else in it; None: take the other way."""
    packed = _pixels_of_png(data)
    if packed is None:
        return None
    from PIL import Image

    width, height, *kind = struct.unpack_from(">IIBB", data, 16)
    mode = _PNG_MODES.get(tuple(kind))
    if mode is None or not 0 < width * height <= limits.image.max_pixels:
        return None
    try:
        image = Image.frombytes(mode, (width, height), packed, "zip", mode, 0)
    except (ValueError, OSError):
        return None
    return Picture("PNG", width, height, 1, 1, image.convert("L"))


def _pixels_of_png(data: bytes) -> bytes | None:
    """The packed pixels; None where a chunk is damaged, or says more than how to unpack them."""
    at, pieces, kind = len(_PNG), list[bytes](), b""
    while kind != b"IEND":
        if at + 12 > len(data):
            return None
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + size
        if kind == b"IDAT":
            pieces.append(data[at + 8 : end])
        elif not _is_harmless(kind, size, at, bool(pieces)) or data[end : end + 4] != _crc(
            data[at + 4 : end]
        ):
            return None
        at = end + 4
    # No compression, filter or order of rows but the first of each.
    return b"".join(pieces) if data[26:29] == bytes(3) and pieces else None


def _is_harmless(kind: bytes, size: int, at: int, pixels_came: bool) -> bool:
    if kind == b"IHDR":
        return at == len(_PNG) and size == 13
    if kind == b"IEND":
        return pixels_came and size == 0
    return at > len(_PNG) and not pixels_came and _PNG_NOTES.get(kind) == size


def _crc(data: bytes) -> bytes:
    return crc32(data).to_bytes(4, "big")


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
