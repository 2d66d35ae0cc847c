"""Captured answers as people look through them: tiles, and a map of what the model saw."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from everloop.data.browsing import Region, Wanted
from everloop.ids import SampleId
from everloop.web.asked import Asked
from everloop_runtime.problems import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WIDE, _HIGH, _EDGE = 600.0, 400.0, 12.0
EDGES = ("left", "top", "right", "bottom")
"""Of a region of the map, as an address names them."""
COLOURS = 8
"""The most frequent answers have a colour of their own on the map; all others share one."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One answer on the map."""

    sample: SampleId
    label: str
    colour: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class MapView:
    """What a model saw, on the first two principal axes of its training embeddings."""

    before: str
    """The hold-out: a path of points in a box of 600 by 400."""
    dots: tuple[Dot, ...]
    legend: tuple[tuple[str, int, int], ...]
    """Answer, its colour, and how many dots it has."""
    frame: tuple[float, float, float, float]
    """Left, top, right and bottom of the box, in units of the map's axes."""
    colours: int = COLOURS


def wanted_of(asked: Asked, region: Region | None = None) -> Wanted:
    """What the address asks for. Raises `Problem` for what is no share or no moment."""
    return Wanted(
        asked.argument("label"),
        asked.argument("bundle"),
        share_of(asked.argument("surest")),
        moment_of(asked.argument("since")),
        moment_of(asked.argument("until")),
        region,
        asked.argument("key"),
    )


def edges_of(asked: Asked) -> tuple[float, float, float, float] | None:
    """Left, top, right and bottom of a region of the map; None where none is asked for.

    Raises `Problem` where some are missing or are no figures.
    """
    given = [asked.argument(name) for name in EDGES]
    if not any(given):
        return None
    try:
        one, two, three, four = map(float, given)
    except ValueError:
        one = two = three = four = float("nan")
    if not all(map(isfinite, (one, two, three, four))):
        told = f"{', '.join(given)[:60]!r} are no four edges of a region"
        raise Problem(422, told, "choose one on the map")
    return min(one, three), min(two, four), max(one, three), max(two, four)


def address(asked: Asked, **further: object) -> str:
    """The same page of answers with other settings."""
    names = ("label", "bundle", "key", "surest", "since", "until", *EDGES)
    kept = {name: asked.argument(name) for name in names}
    return "?" + urlencode({name: value for name, value in (kept | further).items() if value})


def map_view(
    before: "NDArray[np.float32]",
    seen: "NDArray[np.float32]",
    samples: Sequence[SampleId],
    labels: Sequence[str],
) -> MapView:
    """The map of a hold-out `[n, 2]` and of answers `[m, 2]` about `samples`, each a label."""
    import numpy as np

    every = np.concatenate([before, seen]).astype(np.float64)
    low, span = every.min(axis=0), np.maximum(np.ptp(every, axis=0), 1e-12)
    room = np.array([_WIDE, _HIGH]) - 2 * _EDGE
    placed = np.round(_EDGE + (every - low) / span * room, 1)
    counts = Counter(labels).most_common()
    colours = {label: min(place, COLOURS) for place, (label, _) in enumerate(counts)}
    dots = tuple(
        Dot(sample, label, colours[label], float(x), float(y))
        for sample, label, (x, y) in zip(samples, labels, placed[len(before) :], strict=True)
    )
    legend = [(label, colours[label], count) for label, count in counts[:COLOURS]]
    if rest := sum(count for _, count in counts[COLOURS:]):
        legend.append(("all others", COLOURS, rest))
    path = "".join(f"M{x:g} {y:g}h0" for x, y in placed[: len(before)])
    beside = _EDGE / room * span
    left, top, right, bottom = map(float, (*(low - beside), *(low + span + beside)))
    return MapView(path, dots, tuple(legend), (left, top, right, bottom))


def share_of(text: str) -> float | None:
    """A share of an address, None where there is none. Raises `Problem` for what is none."""
    if not text:
        return None
    try:
        share = float(text)
    except ValueError:
        share = float("nan")
    if not isfinite(share) or not 0 <= share <= 1:
        raise Problem(422, f"{text[:30]!r} is no share from 0 to 1", "such as 0.5")
    return share


def moment_of(text: str) -> datetime | None:
    """A moment of an address, in UTC; None where there is none. Raises `Problem` for others."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise Problem(422, f"{text[:30]!r} is no moment", "such as 2026-01-31T12:00") from error
