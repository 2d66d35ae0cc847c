"""What a card is made of, whatever it is written as. Texts are as they are: writers escape them."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A few sentences."""

    text: str


@dataclass(frozen=True, slots=True)
class Points:
    """A list."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    shades: tuple[tuple[float | None, ...], ...] = ()
    """0 to 1 for each cell, where cells have a colour; None: that one has none."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart: 0 to `most`."""

    name: str
    value: float
    told: str


@dataclass(frozen=True, slots=True)
class Bars:
    """A chart of bars."""

    bars: tuple[Bar, ...]
    most: float


@dataclass(frozen=True, slots=True)
class Diagonal:
    """Points that would lie on the diagonal from 0, 0 to 1, 1 if all were well."""

    across: str
    up: str
    points: tuple[tuple[float, float, int], ...]
    """Across, up, and how many it stands for."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture with what is to be said of it."""

    jpeg: bytes | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures."""

    shown: tuple[Shown, ...]
    is_small: bool = False
    """Whether a glance at each is enough."""


Block: TypeAlias = Paragraph | Points | Grid | Bars | Diagonal | Gallery


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what is under it; nothing is written of one without blocks."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """A whole card."""

    title: str
    sections: tuple[Section, ...]
