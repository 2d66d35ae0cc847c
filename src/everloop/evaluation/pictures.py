"""Pictures of answers for the card, drawn on renditions: never on originals."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from everloop.labels import BoxesLabel, decode
from everloop_runtime.answers.boxes import Boxes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image, ImageDraw

_SIDE = 224
_TRUTH, _ANSWER = (22, 163, 74), (220, 38, 38)
_SCORE, _CLASS = 4, 5


def with_boxes(rendition: bytes, truth: str, answer: "NDArray[np.float32]", kind: Boxes) -> bytes:
    """The picture with drawn boxes in green and answered ones in red, as JPEG."""
    from PIL import ImageDraw

    image = _opened(rendition)
    draw = ImageDraw.Draw(image)
    label = decode(truth)
    if isinstance(label, BoxesLabel):
        for box in label.boxes:
            _frame(draw, image, (box.left, box.top, box.right, box.bottom), _TRUTH, 3)
    for row in answer:
        if row[_SCORE] >= kind.shown:
            _frame(draw, image, row[:4].tolist(), _ANSWER, 1)
    return _jpeg(image)


def with_map(rendition: bytes, heat: "NDArray[np.float64] | None") -> bytes:
    """The picture, and beside it the same under a map of 0 to 1, where there is one; as JPEG."""
    import numpy as np
    from PIL import Image

    image = _opened(rendition)
    if heat is None:
        return _jpeg(image)
    shown = Image.fromarray((255 * heat).astype(np.uint8)).resize(
        image.size, Image.Resampling.BICUBIC
    )
    red = Image.new("RGB", image.size, _ANSWER)
    grey = image.convert("L").convert("RGB")
    both = Image.new("RGB", (2 * image.width, image.height))
    both.paste(image, (0, 0))
    both.paste(Image.composite(red, grey, shown.point(lambda value: int(0.7 * value))),
               (image.width, 0))  # fmt: skip
    return _jpeg(both)


def _opened(rendition: bytes) -> "Image.Image":
    from PIL import Image

    with Image.open(io.BytesIO(rendition), formats=("PNG", "JPEG", "WEBP")) as opened:
        image = opened.convert("RGB")
    scale = _SIDE / max(image.size)
    # A digit of eight pixels a side is enlarged as it is, not smoothed into something else.
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), how
    )


def _frame(
    draw: "ImageDraw.ImageDraw",
    image: "Image.Image",
    shares: Sequence[float],
    colour: tuple[int, int, int],
    width: int,
) -> None:
    left, right = sorted(share * (image.width - 1) for share in (shares[0], shares[2]))
    top, bottom = sorted(share * (image.height - 1) for share in (shares[1], shares[3]))
    draw.rectangle((left, top, right, bottom), outline=colour, width=width)


def _jpeg(image: "Image.Image") -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()
