"""Pictures are examined in processes that may die; what is taken is what the runtime takes."""

import io
import os
import struct
import sys
import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support import hostile, poison
from tests.support.pictures import flat, noise, png
from tests.support.shared import SHARED, needs_shared

from everloop.data.decoding import Decoders
from everloop.data.examine import decode
from everloop.data.examined import Bad, DecodingLimits, Examined
from everloop.errors import Refused, Unavailable
from everloop_runtime.images import ImageLimits, ImageSpec, to_array

LIMITS = DecodingLimits(ImageLimits())


def _examine(
    *pictures: bytes, limits: DecodingLimits = LIMITS, workers: int = 2, defect: bool = False
) -> list[Examined | Bad]:
    command = {"command": poison.COMMAND} if defect else {}
    with Decoders[int](limits, workers=workers, **command) as decoders:
        told = list(decoders.examine(enumerate(pictures)))
    assert [key for key, _, _ in told] == list(range(len(pictures)))
    assert [data for _, data, _ in told] == list(pictures)
    return [found for _, _, found in told]


def _photo(seed: int = 0, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Colours that change slowly with some noise, as a photograph's."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (12, 16, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), np.int16)
    grain = generator.integers(-6, 7, smooth.shape)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def _reasons(*pictures: bytes) -> list[str]:
    return [f.reason if isinstance(f, Bad) else "taken" for f in _examine(*pictures)]


def test_bombs_are_refused_and_the_rest_of_the_batch_goes_on() -> None:
    claims, plain = hostile.claims_400_megapixels(), hostile.grey_plain(10_000, 13_000)
    assert len(claims) == 74 and len(plain) < 400_000
    bomb = hostile.text_bomb()
    assert len(bomb) < 300_000
    photo = hostile.as_kind(_photo(), "JPEG")
    assert _reasons(claims, flat(3), plain, bomb, photo, photo[: len(photo) // 2], noise(4)) == [
        *("too-many-pixels", "taken", "too-many-pixels", "not-an-image", "taken", "broken"),
        "taken",
    ]


def test_pages_and_drawings_named_as_pictures_are_none() -> None:
    page = b"<!doctype html><html><script>alert(1)</script></html>"
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
    assert _reasons(page, drawing, b"%!PS-Adobe-3.0 EPSF-3.0\n", b"") == ["not-an-image"] * 4


def test_an_animation_of_100_000_frames_is_refused_in_bounded_work() -> None:
    animations = [hostile.gif_of(100_000), hostile.apng_of(100_000), hostile.tiff_of(100_000)]
    assert _reasons(*animations) == ["too-many-frames"] * 3
    few = _examine(hostile.gif_of(3), hostile.apng_of(5), hostile.tiff_of(7))
    assert [f.frames for f in few if isinstance(f, Examined)] == [3, 5, 7]


def test_pictures_of_every_mode_are_measured_alike() -> None:
    grey = np.tile(np.linspace(0, 255, 64), (64, 1)).astype(np.uint8)
    plain = Image.fromarray(grey)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    files = [png(plain), png(deep), png(plain.convert("P")), png(plain.convert("RGBA")),
             hostile.as_kind(plain.convert("CMYK"), "JPEG", quality=95)]  # fmt: skip
    found = _examine(*files)
    told = [(f.brightness, f.contrast, f.thumbnail) for f in found if isinstance(f, Examined)]
    assert len(told) == len(files)
    for brightness, contrast, _ in told:
        assert abs(brightness - 127) < 2 and abs(contrast - 74) < 2
    first = np.frombuffer(told[0][2], np.uint8).astype(int)
    for _, _, small in told:
        assert np.abs(np.frombuffer(small, np.uint8) - first).max() <= 4


def test_figures_tell_dark_flat_and_blurred_pictures_apart() -> None:
    photo = _photo()
    soft = photo.resize((32, 24)).resize(photo.size, Image.Resampling.BICUBIC)
    dark = photo.point(lambda value: value // 20)
    sharp, blurred, night, one = _examine(png(photo), png(soft), png(dark), flat(128, side=64))
    assert all(isinstance(f, Examined) for f in (sharp, blurred, night, one))
    assert sharp.sharpness > 20 * blurred.sharpness  # type: ignore[union-attr]
    assert night.brightness < 13 < sharp.brightness  # type: ignore[union-attr]
    assert (one.contrast, one.entropy, one.sharpness) == (0, 0, 0)  # type: ignore[union-attr]


def test_sharpness_is_the_variance_of_the_laplacian_whatever_else_is_in_the_batch() -> None:
    generator = np.random.default_rng(3)
    sizes = [(28, 28), (3, 3), (2, 9), (40, 17), (200, 200), (28, 28), (1, 1), (255, 900)]
    pictures = [generator.integers(0, 256, size, np.uint8) for size in sizes * 3]
    found = _examine(*(png(Image.fromarray(each)) for each in pictures))
    for pixels, told in zip(pictures, found, strict=True):
        assert isinstance(told, Examined)
        grey = pixels.astype(np.float64)
        around = grey[1:-1, :-2] + grey[1:-1, 2:] + grey[:-2, 1:-1] + grey[2:, 1:-1]
        expected = (around - 4 * grey[1:-1, 1:-1]).var() if min(pixels.shape) > 2 else 0.0
        assert told.sharpness == pytest.approx(expected, rel=1e-4)


def test_a_turned_picture_has_the_thumbnail_of_the_upright_one() -> None:
    photo = _photo().convert("L")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = photo.transpose(Image.Transpose.ROTATE_90)
    upright, stored = _examine(png(photo), hostile.as_kind(turned, "PNG", exif=exif))
    assert isinstance(upright, Examined) and isinstance(stored, Examined)
    assert (stored.orientation, stored.width, stored.height) == (6, 240, 320)
    assert stored.upright_size == upright.upright_size == (320, 240)
    assert stored.thumbnail == upright.thumbnail and stored.signature == upright.signature


def test_limits_are_exact_to_the_byte_and_the_pixel() -> None:
    data = noise(1, side=8)
    within = replace(LIMITS, image=ImageLimits(len(data), 64))
    assert isinstance(_examine(data, limits=within)[0], Examined)
    fewer = replace(LIMITS, image=ImageLimits(len(data) - 1, 64))
    smaller = replace(LIMITS, image=ImageLimits(len(data), 63))
    found = [*_examine(data, limits=fewer), *_examine(data, limits=smaller)]
    assert [f.reason for f in found if isinstance(f, Bad)] == ["too-many-bytes", "too-many-pixels"]


def test_a_picture_that_takes_too_long_is_ended_by_the_clock() -> None:
    slow = hostile.grey_plain(12_000, 12_000)
    limits = replace(LIMITS, image=ImageLimits(max_pixels=200_000_000), seconds=0.1)
    found = _examine(slow, flat(1), limits=limits)
    assert isinstance(found[0], Bad) and found[0].reason == "too-slow"
    assert isinstance(found[1], Examined)


def test_a_picture_that_takes_too_much_memory_is_refused() -> None:
    large = hostile.grey_plain(6000, 6000)
    found = _examine(large, flat(1), limits=replace(LIMITS, memory=20_000_000))
    assert isinstance(found[0], Bad) and found[0].reason == "too-much-memory"
    assert isinstance(found[1], Examined)


def test_poison_is_set_aside_after_a_bounded_number_of_tries(tmp_path: Path) -> None:
    pictures = [flat(n) for n in range(60)]
    pictures[7] = pictures[31] = poison.CRASHES
    pictures[32] = poison.HANGS
    pictures[50] = poison.CRASHES_ONCE + str(tmp_path / "mark").encode()
    found = _examine(*pictures, limits=replace(LIMITS, seconds=0.3), defect=True)
    bad = {row: f for row, f in enumerate(found) if isinstance(f, Bad)}
    assert {row: f.reason for row, f in bad.items()} == {
        7: "poison", 31: "poison", 32: "too-slow", 50: "broken",
    }  # fmt: skip
    assert "2 times (SIGSEGV)" in bad[7].text


def test_processes_that_cannot_start_are_told_and_do_not_go_on_for_ever() -> None:
    command = (sys.executable, "-c", "raise SystemExit(7)")
    with (
        Decoders[int](LIMITS, workers=1, command=command) as decoders,
        pytest.raises(Unavailable, match="status 7"),
    ):
        list(decoders.examine([(0, flat(1))]))


def test_what_the_source_raises_reaches_the_caller_and_no_process_stays() -> None:
    def source() -> Iterator[tuple[int, bytes]]:
        for number in range(300):
            yield number, flat(number % 256)
        raise Refused("the source ended badly")

    with Decoders[int](LIMITS) as decoders, pytest.raises(Refused, match="ended badly"):
        list(decoders.examine(source()))
    assert _children() == set()


def test_a_caller_that_stops_early_leaves_nothing_behind() -> None:
    before = set(threading.enumerate())
    with Decoders[int](LIMITS) as decoders:
        for key, _, _ in decoders.examine((n, flat(n % 256)) for n in range(100_000)):
            if key == 200:
                break
    assert _children() == set()
    assert set(threading.enumerate()) <= before


def _children() -> set[int]:
    told = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children").read_text()
    return {
        int(pid) for pid in told.split()
        if b"decoding_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    }  # fmt: skip


def _taken_by_runtime(data: bytes) -> bool:
    try:
        to_array(data, ImageSpec(8, 8, 3))
    except Refused:
        return False
    return True


def _missummed(chunk: bytes) -> bytes:
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


def test_a_png_of_any_making_is_taken_exactly_where_the_runtime_takes_it() -> None:
    whole = png(_photo(2, (31, 17)))
    head, rest = whole[:33], whole[33:]
    at = rest.index(b"IDAT") - 4
    pixels = rest[at + 8 : at + 8 + struct.unpack_from(">I", rest, at)[0]]
    idat, end = hostile.chunk(b"IDAT", pixels), hostile.chunk(b"IEND", b"")
    short = hostile.chunk(b"IDAT", zlib.compress(zlib.decompress(pixels)[:-40]))
    facts = head[16:29]
    made = {
        "whole": head + idat + end,
        "in pieces": head
        + hostile.chunk(b"IDAT", pixels[:9])
        + hostile.chunk(b"IDAT", pixels[9:])
        + end,
        "bytes behind": whole + b"tail",
        "no end": head + idat,
        "no pixels": head + end,
        "rows missing": head + short + end,
        "wrong sum of the head": head[:-1] + bytes([head[-1] ^ 1]) + idat + end,
        "wrong sum of the pixels": head + _missummed(idat) + end,
        "wrong sum of a note": head + _missummed(hostile.chunk(b"gAMA", bytes(4))) + idat + end,
        "short note": head + hostile.chunk(b"pHYs", bytes(2)) + idat + end,
        "note": head + hostile.chunk(b"pHYs", bytes(9)) + idat + end,
        "transparent": head + hostile.chunk(b"tRNS", bytes(6)) + idat + end,
        "interlaced": whole[:8] + hostile.chunk(b"IHDR", facts[:12] + b"\1") + idat + end,
        "unknown filter": whole[:8] + hostile.chunk(b"IHDR", facts[:11] + b"\1\0") + idat + end,
        "as grey": whole[:8] + hostile.chunk(b"IHDR", facts[:9] + b"\0" + facts[10:]) + idat + end,
        "two heads": head + head[8:] + idat + end,
        "long chunk": head + b"\x7f\xff\xff\xffgAMA" + idat + end,
    }
    generator = np.random.default_rng(1)
    for number in range(300):
        spoilt = bytearray(whole)
        spoilt[generator.integers(8, len(whole))] ^= 1 << generator.integers(8)
        made[f"spoilt {number}"] = bytes(spoilt[: generator.integers(60, len(whole) + 400)])
    for name, data in made.items():
        found = decode(data, LIMITS)
        try:
            pixels_of = to_array(data, ImageSpec(17, 31, 1))
        except Refused:
            assert isinstance(found, Bad), name
            continue
        assert not isinstance(found, Bad), name
        assert np.array_equal(np.asarray(found.grey), pixels_of[:, :, 0]), name


@needs_shared
def test_what_is_taken_is_what_the_runtime_takes_on_all_shared_pictures() -> None:
    files = [p for p in sorted(SHARED.rglob("*")) if p.suffix in {".jpg", ".png"}]
    assert len(files) > 5_000
    with Decoders[Path](LIMITS) as decoders:
        for path, data, found in decoders.examine((p, p.read_bytes()) for p in files):
            assert isinstance(found, Examined), path
            with Image.open(io.BytesIO(data)) as image:
                assert (found.width, found.height) == image.size
    # All whole ones were taken; the runtime must agree, and about damaged ones too.
    for number, path in enumerate(files[::37]):
        data = path.read_bytes()
        assert _taken_by_runtime(data)
        for broken in _damaged(data, number):
            taken = not isinstance(decode(broken, LIMITS), Bad)
            assert taken == _taken_by_runtime(broken), path


def _damaged(data: bytes, seed: int) -> Iterator[bytes]:
    generator = np.random.default_rng(seed)
    yield data[: len(data) * 2 // 3]
    yield data[:-1]
    yield data[:-2]
    yield data + b"<script>"
    for at in generator.integers(0, len(data), 3):
        changed = bytearray(data)
        changed[at] ^= 0x55
        yield bytes(changed)
