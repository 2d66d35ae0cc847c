"""Renditions hold the pixels that labellers may see, upright, and nothing else of the original."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from everloop.ids import SampleId
from everloop.policy import PrivacyPolicy
from everloop.privacy.render import Rendition, in_format, make_renderer
from everloop_runtime.images import ImageLimits

_MODES = {
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "JPEG": ["L", "RGB", "CMYK"],
    "WEBP": ["RGB", "RGBA"],
    "TIFF": ["L", "RGB", "CMYK", "I;16", "F"],
    "GIF": ["P", "L"],
    "BMP": ["L", "RGB"],
}
_SAMPLE = SampleId("5" * 64)


def _render(original: bytes, **policy: object) -> Rendition:
    settings_ = PrivacyPolicy.model_validate(policy)
    return make_renderer(settings_, ImageLimits())(_SAMPLE, original)


def _open(rendition: Rendition) -> Image.Image:
    image = Image.open(io.BytesIO(rendition.data))
    image.load()
    return image


def _exif(secret: bytes, orientation: int, *, place: bool) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = secret.decode("latin-1")
    exif[0x9286] = b"ASCII\0\0\0" + secret
    exif[0x927C] = secret  # maker note: where phones keep thumbnails
    if place:
        exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0), 29: secret.hex()}
    return exif


def _file(form: str, mode: str, secret: bytes, orientation: int, side: int) -> bytes:
    values = np.random.default_rng(side).integers(0, 255, (side, side + 3)).astype(np.uint8)
    grey = Image.fromarray(values)
    if mode == "I;16":
        picture = Image.fromarray(values.astype(np.uint16) * 257)
    elif mode == "LA":
        picture = Image.merge("LA", (grey, grey))
    else:
        picture = grey.convert(mode)
    out = io.BytesIO()
    # Pillow writes no nested directory into a TIFF.
    exif = _exif(secret, orientation, place=form != "TIFF")
    more: dict[str, object] = {"icc_profile": secret * 8} if form != "GIF" else {}
    if form == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Comment", secret.hex())
        info.add_itxt("XML:com.adobe.xmp", f"<x>{secret.hex()}</x>", zip=True)
        more["pnginfo"] = info
    if form == "JPEG":
        more |= {"comment": secret, "xmp": b"<x>" + secret + b"</x>"}
    if form == "GIF":
        more["comment"] = secret
    if form not in {"GIF", "BMP"}:
        more["exif"] = exif
    picture.save(out, form, **more)
    # A polyglot: what follows the picture is another file.
    return out.getvalue() + b"PK\x03\x04" + secret + b"<script>" + secret.hex().encode()


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from([(form, mode) for form, modes in _MODES.items() for mode in modes]),
    secret=st.binary(min_size=24, max_size=40),
    orientation=st.integers(1, 8),
    side=st.integers(1, 40),
    target=st.sampled_from(["auto", "png", "jpeg", "webp"]),
)
def test_no_part_of_an_originals_metadata_is_in_its_rendition(
    kind: tuple[str, str], secret: bytes, orientation: int, side: int, target: str
) -> None:
    secret = bytes(zlib.crc32(secret + bytes([n])) & 0xFF for n in range(24))
    made = _render(_file(*kind, secret, orientation, side), format=target)
    assert made.held is None and made.data
    for text in (secret, secret.hex().encode()):
        chunks = {text[n : n + 6] for n in range(len(text) - 5)}
        assert not any(chunk in made.data for chunk in chunks)
    image = _open(made)
    left = set(image.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density", "loop",
                              "background", "timestamp", "duration"}  # fmt: skip
    assert not left and not image.getexif()
    turned = kind[0] not in {"GIF", "BMP"} and orientation >= 5
    assert image.size == ((side, side + 3) if turned else (side + 3, side))


def test_a_thumbnail_in_the_metadata_is_gone() -> None:
    thumbnail = io.BytesIO()
    Image.new("L", (16, 16), 200).save(thumbnail, "JPEG")
    inner = thumbnail.getvalue()
    ifd0 = struct.pack("<HHHII", 1, 0x0112, 3, 1, 1) + struct.pack("<I", 26)
    ifd1 = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, len(inner), 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + ifd0 + ifd1 + inner
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(out, "JPEG", exif=exif)
    original = out.getvalue()
    assert original.count(b"\xff\xd8\xff") == 2
    assert _render(original, format="jpeg").data.count(b"\xff\xd8\xff") == 1


def test_it_is_turned_upright() -> None:
    picture = Image.new("RGB", (20, 10), "white")
    picture.paste((0, 0, 0), (0, 0, 5, 5))
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(out, "PNG", exif=exif)
    image = _open(_render(out.getvalue()))
    assert image.size == (10, 20)
    assert (image.getpixel((8, 2)), image.getpixel((1, 2))) == (0, 255)


def test_html_and_broken_files_are_held_back_with_the_reason() -> None:
    assert "not one of the formats" in str(_render(b"<html><script>1</script>").held)
    whole = _file("JPEG", "RGB", bytes(24), 1, 40)
    cut = _render(whole[: len(whole) // 3])
    assert cut.data == b"" and cut.held


def test_a_large_picture_is_made_smaller_and_a_region_always_black() -> None:
    out = io.BytesIO()
    Image.new("RGB", (400, 200), "white").save(out, "PNG")
    made = _render(out.getvalue(), max_side=100, regions=[[0.5, 0.0, 0.5, 1.0]], format="png")
    pixels = np.asarray(_open(made))
    assert pixels.shape == (50, 100)
    assert (pixels[:, 50:] == 0).all() and (pixels[:, :50] == 255).all()
    assert [region.kind for region in made.regions] == ["fixed"]


@pytest.mark.parametrize(("name", "form"), [("a.png", "PNG"), ("a.JPG", "JPEG"), ("a.x", "WEBP")])
def test_a_file_gets_the_format_of_its_name(name: str, form: str) -> None:
    made = _render(_file("PNG", "RGB", bytes(24), 1, 30), format="webp")
    with Image.open(io.BytesIO(in_format(made.data, Path(name)))) as image:
        assert image.format == form
