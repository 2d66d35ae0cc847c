"""What a source tells of one sample, before anything is checked or stored."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

from everloop.data.splits import Side
from everloop.labels import Label

BoxUnit: TypeAlias = Literal["pixel", "share"]
"""Whether box edges are in pixels or in shares of the picture's width and height."""


_NOTHING: Mapping[str, str] = MappingProxyType({})


class Incoming(NamedTuple):
    """One sample of a source. Nothing in it is trusted; its bytes are read when it is its turn."""

    name: str
    """What the source calls it, such as its path there; any text."""
    read: Callable[[int], bytes]
    """Its bytes, by the most that may be read; `Refused` beyond that, `Unavailable` or `OSError`
    when the source does not give them."""
    stamp: str = ""
    """Changes when the source's file does (its size and time, or its ETag); empty: unknown."""
    label: Label | None = None
    group: str | None = None
    """Samples of one group (one patient, one session) stay on one side."""
    subject: str | None = None
    """Whom it is about: what `data forget --subject` goes by."""
    taken_at: datetime | None = None
    """When it came about, if the source knows."""
    side: Side | None = None
    """The side that the source gives it."""
    meta: Mapping[str, str] = _NOTHING
    """What else is known of it, such as its camera: slices are made of these."""
    unit: BoxUnit = "pixel"
    """What the edges of its boxes are in."""
    size: tuple[int, int] | None = None
    """The width and height that the source states for the picture."""
    problems: tuple[str, ...] = ()
    """Why its label cannot be taken as it stands, one line each; the picture itself may be fine."""
