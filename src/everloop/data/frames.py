"""How many frames a file holds, counted in bounded work and without decoding one."""

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_BIG_TIFF = 43


def count_frames(image: "Image.Image", data: bytes, most: int) -> int:
    """Frames of an opened picture, counted up to `most`; a damaged end is where counting stops."""
    if image.format == "GIF":
        return _gif(data, most)
    if image.format == "TIFF":
        return _tiff(data, most)
    # APNG, WebP and MPO say it in their header.
    return min(int(getattr(image, "n_frames", 1)), most)


def _gif(data: bytes, most: int) -> int:
    at = 13 + _colours(data, 10)
    frames = 0
    while at < len(data) and frames < most:
        kind = data[at]
        if kind == _IMAGE:
            frames += 1
            at = _after_blocks(data, at + 11 + _colours(data, at + 9))
        elif kind == _EXTENSION:
            at = _after_blocks(data, at + 2)
        else:
            break
    return max(frames, 1)


def _colours(data: bytes, at: int) -> int:
    """Bytes of the colour table that a flags byte announces."""
    flags = data[at] if at < len(data) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


def _tiff(data: bytes, most: int) -> int:
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == _BIG_TIFF
    (count, head), entry, (pointer, place) = (
        (("Q", 8), 20, ("Q", 8)) if big else (("H", 2), 12, ("I", 4))
    )
    pages = 0
    try:
        (at,) = struct.unpack_from(order + pointer, data, place)
        while at and pages < most:
            pages += 1
            (entries,) = struct.unpack_from(order + count, data, at)
            after = at + head + entries * entry
            (at,) = struct.unpack_from(order + pointer, data, after)
    except struct.error:
        return max(pages, 1)
    return max(pages, 1)
