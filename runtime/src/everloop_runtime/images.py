"""The one way from an image file's bytes to the pixels a model sees, in training and serving.

Named and versioned by `PREPROCESSING`: a change that could alter a single pixel is a new name.
The conversion, in order: the first frame; turned upright by its EXIF orientation; 16-bit and
floating grey scaled to 8 bits by their type's range; transparency laid on white; then grey
(ITU-R 601 luma) or RGB as the specification asks; then resized to it, bilinear with
antialiasing, without keeping the aspect ratio.
"""

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop_runtime import jpeg
from everloop_runtime.errors import Refused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

PREPROCESSING = "image/1"
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
_COLOURS = 3
_PNG = b"\x89PNG\r\n\x1a\n"
_LIGHT_PIXELS, _LIGHT_BYTES = 65_536, 131_072
_LAYOUTS = ((), (1,), (3,), (4,))


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What an image from outside may be at most."""

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000


DEFAULT_LIMITS = ImageLimits()


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The pixels a model takes: `[height, width, channels]`, channels 1 (grey) or 3 (RGB)."""

    height: int
    width: int
    channels: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return (self.height, self.width, self.channels)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image's header says."""

    format: str
    width: int
    height: int


class NotAnImage(Refused):
    """The bytes are not of a picture format that is taken at all."""


def inspect(data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> ImageFacts:
    """The facts in the header; nothing is decoded.

    Raises `NotAnImage` for other formats, `Refused` for an image beyond the limits.
    """
    with open_image(data, limits) as image:
        return ImageFacts(image.format or "", image.width, image.height)


def upright_size(data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> tuple[int, int]:
    """Width and height once turned by the EXIF orientation; raises as `inspect`."""
    with open_image(data, limits) as image:
        turned = image.getexif().get(_EXIF_ORIENTATION, 1) in _SIDEWAYS
        return (image.height, image.width) if turned else (image.width, image.height)


def to_array(
    data: bytes, spec: ImageSpec, limits: ImageLimits = DEFAULT_LIMITS
) -> "NDArray[np.uint8]":
    """uint8 `[height, width, channels]` of `spec`.

    Raises `NotAnImage` or `Refused` with the reason when the bytes cannot be taken.
    """
    if (quickly := plain_jpeg(data, spec, limits)) is not None:
        return quickly
    with open_image(data, limits) as image:
        pixels = upright(image, spec.channels)
        return _fitted(pixels, spec)


def pixels_to_array(
    pixels: "NDArray[np.uint8]", spec: ImageSpec, limits: ImageLimits = DEFAULT_LIMITS
) -> "NDArray[np.uint8]":
    """uint8 `[height, width, channels]` of `spec`, from the pixels of a picture of any size.

    `pixels`: uint8 `[H, W]` or `[H, W, 1]` (grey), `[H, W, 3]` (RGB) or `[H, W, 4]` (RGBA). They
    are converted and resized as a lossless file of the same pixels would be. Raises `Refused`
    when they are something else or beyond the limits.
    """
    from PIL import Image

    shape = pixels.shape
    if str(pixels.dtype) != "uint8" or len(shape) not in (2, 3) or shape[2:] not in _LAYOUTS:
        raise Refused(
            f"pixels are {pixels.dtype} {shape}; uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] "
            "is wanted"
        )
    if not 0 < shape[0] * shape[1] <= limits.max_pixels:
        raise Refused(
            f"the image is {shape[1]} x {shape[0]}; at most {limits.max_pixels} pixels are taken"
        )
    flat = pixels[:, :, 0] if shape[2:] == (1,) else pixels
    return _fitted(_convert(Image.fromarray(flat), spec.channels), spec)


def _fitted(pixels: "Image.Image", spec: ImageSpec) -> "NDArray[np.uint8]":
    import numpy as np
    from PIL import Image

    if pixels.size != (spec.width, spec.height):
        pixels = pixels.resize((spec.width, spec.height), Image.Resampling.BILINEAR)
    return np.asarray(pixels, dtype=np.uint8).reshape(spec.height, spec.width, spec.channels)


def plain_jpeg(data: bytes, spec: ImageSpec, limits: ImageLimits) -> "NDArray[np.uint8] | None":
    """`to_array` without Pillow: for a JPEG of the very size that needs none of its care.

    None for any other. The pixels are the same.
    """
    found = jpeg.header(data)
    if found is None or found != (spec.height, spec.width, spec.channels):
        return None
    if len(data) > limits.max_bytes or spec.height * spec.width > limits.max_pixels:
        return None
    return jpeg.decode(data, spec.channels)


def is_light(data: bytes) -> bool:
    """Whether decoding surely takes less than about a millisecond, by what the header says."""
    if len(data) > _LIGHT_BYTES:
        return False
    if data.startswith(_PNG):
        width, height = struct.unpack_from(">II", data.ljust(24, b"\xff"), 16)
        return bool(width * height <= _LIGHT_PIXELS)
    found = jpeg.header(data)
    return found is not None and found[0] * found[1] <= _LIGHT_PIXELS


def load_decoders() -> None:
    """Load now what the first picture of each format would load; Pillow's other formats stay out.

    Without it Pillow loads all it knows when it meets a file that is none of the usual ones.
    """
    from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401 - they register

    Image.preinit()
    jpeg.is_same()


def to_png(pixels: "NDArray[np.uint8]") -> bytes:
    """A PNG of uint8 `[H, W, C]`, C 1 or 3: `to_array` gives the very same pixels back."""
    from PIL import Image

    out = io.BytesIO()
    shown = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(shown).save(out, "PNG", compress_level=1)
    return out.getvalue()


def upright(image: "Image.Image", channels: int) -> "Image.Image":
    """The whole picture of an opened file at its own size: upright, grey (1) or RGB (3).

    Raises `Refused` with the reason when it cannot be decoded.
    """
    from PIL import ImageOps

    try:
        image.load()
        turned = ImageOps.exif_transpose(image) if _is_turned(image) else image
        return _convert(turned, channels)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise Refused(f"the image cannot be decoded: {error}") from error


def open_image(data: bytes, limits: ImageLimits) -> "Image.Image":
    """A file whose header was read and is within the limits; its pixels are not decoded yet.

    Raises as `inspect` does.
    """
    from PIL import Image, UnidentifiedImageError

    if len(data) > limits.max_bytes:
        raise Refused(f"the image has {len(data)} bytes; at most {limits.max_bytes} are taken")
    # Pillow's own guard only warns below twice its limit; ours below is exact.
    Image.MAX_IMAGE_PIXELS = None
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise NotAnImage(f"not one of the formats {', '.join(FORMATS)}") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        # Pillow's own words name an address in memory: another for the same bytes each time.
        raise NotAnImage(f"not one of the formats {', '.join(FORMATS)}") from error
    pixels = image.width * image.height
    if not 0 < pixels <= limits.max_pixels:
        image.close()
        raise Refused(
            f"the image is {image.width} x {image.height}; "
            f"at most {limits.max_pixels} pixels are taken"
        )
    return image


def _is_turned(image: "Image.Image") -> bool:
    return bool(image.getexif().get(_EXIF_ORIENTATION, 1) != 1)


def _convert(image: "Image.Image", channels: int) -> "Image.Image":
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bits(image)
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        image = Image.alpha_composite(white, coloured).convert("RGB")
    elif image.mode not in {"L", "RGB"}:
        image = image.convert("RGB")
    return image.convert("RGB" if channels == _COLOURS else "L")


def _to_8_bits(image: "Image.Image") -> "Image.Image":
    import numpy as np
    from PIL import Image

    values = np.asarray(image, dtype=np.float64)
    # Integer modes hold 16-bit samples (PNG, TIFF); floating ones are taken as 0 to 1.
    scale = 255.0 if image.mode == "F" else 255.0 / 65535.0
    return Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8))
