"""Places in a picture that hold personal data, and the ports that find and judge them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from everloop.ids import SampleId
from everloop.policy import PrivacyPolicy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Cover: TypeAlias = Literal["blur", "black"]
"""How a region is made unreadable: its shape may stay, or nothing may."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle in pixels of the upright picture; it may reach beyond its border."""

    kind: str
    """What it holds, such as `face` or `text.email`; never the data itself."""
    left: int
    top: int
    width: int
    height: int
    score: float
    """How sure the detector is, 0 to 1."""
    cover: Cover = "black"


class Detector(Protocol):
    """Finds regions of one sort. Made once and asked about many pictures, by one thread."""

    @property
    def version(self) -> str:
        """Another one whenever the same pixels could give other regions (model, code)."""

    def detect(self, pixels: "NDArray[np.uint8]") -> Sequence[Region]:
        """The regions of an upright picture, `[height, width, 3]`, RGB, which stays as it is."""


DetectorFactory: TypeAlias = Callable[[PrivacyPolicy], Detector]
"""Behind each entry point of the group `everloop.privacy`. Light: a model is loaded when the
first picture is asked about. Raises `Refused` saying what to install."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture as a moderator sees it: what labellers would get, and what was found."""

    sample: SampleId
    pixels: "NDArray[np.uint8]"
    """uint8 `[height, width, 3]`, RGB, upright, with all regions covered."""
    regions: tuple[Region, ...]


Moderate: TypeAlias = Callable[[Seen], str | None]
"""Why a picture must not be shown to labellers at all; None when it may."""
