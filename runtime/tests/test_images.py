"""Pictures of every kind become the same pixels everywhere; what is broken is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.support.pictures import flat, noise, png

from everloop_runtime.errors import Refused
from everloop_runtime.images import ImageLimits, ImageSpec, NotAnImage, inspect, to_array

GREY, COLOUR = ImageSpec(4, 4, 1), ImageSpec(4, 4, 3)


def _as(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def test_grey_and_colour_are_what_the_specification_asks() -> None:
    red = png(Image.new("RGB", (4, 4), (255, 0, 0)))
    assert to_array(red, COLOUR)[0, 0].tolist() == [255, 0, 0]
    assert to_array(red, GREY)[0, 0].tolist() == [76]  # ITU-R 601: 0.299 * 255
    assert to_array(flat(9), COLOUR)[0, 0].tolist() == [9, 9, 9]
    assert to_array(flat(9), GREY).shape == (4, 4, 1)


def test_sixteen_bits_are_scaled_not_cut() -> None:
    half = Image.fromarray(np.full((4, 4), 32768, np.uint16))
    assert to_array(png(half), GREY)[0, 0, 0] == 128


def test_transparency_lies_on_white() -> None:
    clear = png(Image.new("RGBA", (4, 4), (0, 0, 0, 0)))
    assert to_array(clear, COLOUR).min() == 255


def test_exif_orientation_is_honoured() -> None:
    image = Image.new("L", (4, 4))
    image.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    turned = to_array(_as(image, "PNG", exif=exif), GREY)
    assert turned[3, 3, 0] == 255
    assert turned[0, 0, 0] == 0


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("L", (4, 4), grey) for grey in (10, 200)]
    data = _as(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert to_array(data, GREY).max() == 10


def test_cmyk_and_palettes_are_taken() -> None:
    picture = Image.new("RGB", (8, 8), (200, 30, 30))
    assert to_array(_as(picture.convert("CMYK"), "JPEG"), COLOUR).shape == (4, 4, 3)
    assert to_array(png(picture.convert("P")), COLOUR)[0, 0, 0] > 150


def _claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims to be enormous."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    check = zlib.crc32(b"IHDR" + header)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", check)
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + b"\x35\xaf\x06\x1e"


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(Refused, match="50000 x 50000"):
        inspect(_claims(50_000, 50_000))


def test_limits_are_exact() -> None:
    limits = ImageLimits(max_pixels=64)
    assert to_array(flat(1, side=8), GREY, limits).shape == (4, 4, 1)
    with pytest.raises(Refused, match="at most 64 pixels"):
        to_array(flat(1, side=9), GREY, limits)
    with pytest.raises(Refused, match="at most 10 are taken"):
        to_array(flat(1), GREY, ImageLimits(max_bytes=10))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_picture_or_are_refused(data: bytes) -> None:
    try:
        assert to_array(data, GREY).shape == (4, 4, 1)
    except Refused:
        return


@given(st.integers(0, 2**32), st.integers(0, 255), st.sampled_from(["PNG", "JPEG", "GIF", "BMP"]))
def test_damage_anywhere_is_a_picture_or_is_refused(at: int, value: int, kind: str) -> None:
    data = bytearray(_as(Image.open(io.BytesIO(noise(3))), kind))
    data[at % len(data)] = value
    try:
        assert to_array(bytes(data), COLOUR).shape == (4, 4, 3)
    except Refused:
        return


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_a_picture_cut_short_is_refused(kind: str) -> None:
    data = _as(Image.open(io.BytesIO(noise(5, side=64))), kind)
    with pytest.raises(Refused):
        to_array(data[: len(data) // 2], GREY)


def test_formats_that_can_run_or_fetch_things_are_no_pictures() -> None:
    for data in (b"%PDF-1.7", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", b"<svg/>"):
        with pytest.raises(NotAnImage):
            to_array(data, GREY)
