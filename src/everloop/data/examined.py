"""What is known of a picture once it was decoded, or why it cannot be taken."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from everloop_runtime.images import ImageLimits

SIGNATURE_LENGTH = 64
SIGNATURE_BYTES = 2 * SIGNATURE_LENGTH
THUMBNAIL_SIDE = 32

Reason: TypeAlias = Literal[
    "not-an-image",
    "too-many-bytes",
    "too-many-pixels",
    "too-many-frames",
    "broken",
    "too-slow",
    "too-much-memory",
    "poison",
    "unreadable",
    "bad-label",
    "contradiction",
]
"""Why a file is set aside. `poison` ends the process that decodes it, at every try."""

FORCEABLE: frozenset[Reason] = frozenset({"too-many-frames", "bad-label", "contradiction"})
"""Reasons that a person may overrule, since the picture itself can be decoded."""


@dataclass(frozen=True, slots=True)
class DecodingLimits:
    """What one picture may cost."""

    image: ImageLimits
    """Its bytes and pixels."""
    max_frames: int = 1_000
    """Frames or pages of one file; only the first counts, so more is a mistake or an attack."""
    seconds: float = 20.0
    """Wall-clock time of one picture."""
    memory: int = 2 * 2**30
    """Bytes that its decoding may allocate."""
    tries: int = 2
    """How often a picture that ends its process is tried."""


class Examined(NamedTuple):
    """One picture that was decoded whole; a tuple, since one is made of every picture."""

    format: str
    width: int
    """As stored, before it is turned upright."""
    height: int
    frames: int
    orientation: int
    """EXIF's, 1 to 8; 1 is upright."""
    brightness: float
    """Mean of the grey picture, from 0 to 255."""
    contrast: float
    """Standard deviation of the same."""
    entropy: float
    """Shannon entropy of its 256-bin histogram, in bits, from 0 to 8."""
    sharpness: float
    """Variance of the Laplacian where the shorter side is below 256 pixels."""
    signature: bytes
    """64 half floats: what it looks like from afar (`everloop.data.figures.signatures`)."""
    thumbnail: bytes
    """Grey, upright, 32 x 32, rows from the top."""

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height once turned upright, as boxes count."""
        turned = self.orientation >= 5
        return (self.height, self.width) if turned else (self.width, self.height)


@dataclass(frozen=True, slots=True)
class Bad:
    """Why a file is not taken."""

    reason: Reason
    text: str
