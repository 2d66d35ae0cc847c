"""From an original to its rendition: decoded, covered, judged, encoded afresh."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from everloop.errors import Refused
from everloop.ids import SampleId
from everloop.policy import PrivacyPolicy
from everloop.privacy.cover import cover
from everloop.privacy.plugins import load_detectors, load_moderators
from everloop.privacy.region import Detector, Moderate, Region, Seen
from everloop_runtime.images import ImageLimits, open_image, upright

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COLOURS = 3
_SMALL = 65_536
"""Up to this many pixels `auto` is PNG: a small picture suffers most from JPEG."""
_SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


@dataclass(frozen=True, slots=True)
class Rendition:
    """What labellers may see of one sample, or why they may not."""

    data: bytes
    """The encoded picture; empty when none could be made."""
    format: str
    """`png`, `jpeg`, `webp`, or nothing."""
    width: int
    height: int
    regions: tuple[Region, ...]
    """What was covered."""
    held: str | None
    """Why it is held back; None: labellers may see it."""


def held_back(reason: str) -> Rendition:
    """The rendition of a sample of which nothing can be shown."""
    return Rendition(b"", "", 0, 0, (), reason)


Renderer: TypeAlias = Callable[[SampleId, bytes], Rendition]


def make_renderer(
    policy: PrivacyPolicy, limits: ImageLimits, hooks: Sequence[Moderate] = ()
) -> Renderer:
    """A function from an original's bytes to its rendition under a (resolved) policy.

    `hooks` are moderators besides the policy's own. Raises `Refused` when a filter is missing.
    """
    detectors = load_detectors(policy)
    moderators = [moderate for _, moderate in load_moderators(policy).values()]

    def render(sample: SampleId, original: bytes) -> Rendition:
        try:
            pixels = decode(original, limits, policy.max_side)
        except Refused as error:
            return held_back(str(error))
        regions = find(pixels, policy, detectors)
        shown = cover(pixels, regions)
        held = _judge(Seen(sample, shown, regions), [*moderators, *hooks])
        form, data = _encode(shown, policy)
        return Rendition(data, form, shown.shape[1], shown.shape[0], regions, held)

    return render


def decode(data: bytes, limits: ImageLimits, longest: int) -> "NDArray[np.uint8]":
    """uint8 `[height, width, 3]`, RGB, upright; made smaller when a side is above `longest`.

    Raises `Refused` with the reason when the bytes cannot be taken.
    """
    import numpy as np
    from PIL import Image

    with open_image(data, limits) as image:
        picture = upright(image, _COLOURS)
    if max(picture.size) > longest:
        share = longest / max(picture.size)
        width, height = (max(1, round(side * share)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture, dtype=np.uint8)


def find(
    pixels: "NDArray[np.uint8]", policy: PrivacyPolicy, detectors: Mapping[str, Detector]
) -> tuple[Region, ...]:
    """All regions to cover in an upright picture: the policy's fixed ones, then the found ones."""
    height, width = pixels.shape[:2]
    found = [_fixed(part, width, height) for part in policy.regions]
    for detector in detectors.values():
        found += detector.detect(pixels)
    return tuple(found)


def _fixed(part: tuple[float, float, float, float], width: int, height: int) -> Region:
    left, top, wide, high = part
    x, y = int(left * width), int(top * height)
    # Rounded outwards: no row of pixels at the edge stays visible.
    right, bottom = math.ceil((left + wide) * width), math.ceil((top + high) * height)
    return Region("fixed", x, y, right - x, bottom - y, 1.0)


def _judge(seen: Seen, moderators: Sequence[Moderate]) -> str | None:
    for moderate in moderators:
        if reason := moderate(seen):
            return str(reason)
    return None


def in_format(rendition: bytes, path: Path) -> bytes:
    """A rendition in the format that a file's name asks for; as it is when it asks for none."""
    from PIL import Image

    wanted = _SUFFIXES.get(path.suffix.lower())
    with Image.open(io.BytesIO(rendition), formats=("PNG", "JPEG", "WEBP")) as image:
        if wanted is None or image.format == wanted:
            return rendition
        out = io.BytesIO()
        image.convert("RGB").save(out, wanted)
    return out.getvalue()


def _encode(pixels: "NDArray[np.uint8]", policy: PrivacyPolicy) -> tuple[str, bytes]:
    """The pixels in a new file that holds nothing else; grey stays one channel."""
    from PIL import Image

    form: str = policy.format
    if form == "auto":
        form = "png" if pixels.shape[0] * pixels.shape[1] <= _SMALL else "jpeg"
    image = Image.fromarray(pixels)
    if (pixels[..., :1] == pixels).all():
        image = image.convert("L")
    out = io.BytesIO()
    image.save(out, form.upper(), quality=policy.quality)
    return form, out.getvalue()
