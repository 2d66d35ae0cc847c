"""The parts of a hold-out that are looked at on their own: by label, and by what else is known."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from everloop.labels import ValueLabel, decode, names_in

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PARTS = 4
_TEXTS = 10_000
_TAKEN = frozenset({"class", "origin", "target"})
"""Names that slices by label and origin have."""
_MOST_VALUES = 20
"""Something of more values tells samples apart rather than kinds of them."""


def groups_of(labels: Sequence[str]) -> list[tuple[str, ...]]:
    """The names of each sample's parts: its classes, or the quarter its figure lies in.

    >>> groups_of(["cat", '{"classes":["cat","dog"]}'])
    [('class=cat',), ('class=cat', 'class=dog')]
    """
    figures = [label.value for text in labels if isinstance(label := decode(text), ValueLabel)]
    if len(figures) == len(labels):
        return [(name,) for name in quarters("target", figures)]
    return [_classes(text) for text in labels]


@lru_cache(_TEXTS)
def _classes(text: str) -> tuple[str, ...]:
    return tuple(f"class={name}" for name in dict.fromkeys(names_in(decode(text))))


def quarters(name: str, figures: "Sequence[float] | NDArray[np.float64]") -> list[str]:
    """The quarter that each figure lies in, by name; what is no number is `missing`.

    >>> quarters("hour", [0, 1, 2, 3])
    ['hour=..0.75', 'hour=0.75..1.5', 'hour=1.5..2.25', 'hour=2.25..']
    """
    import numpy as np

    given = np.asarray(figures, np.float64)
    known = given[np.isfinite(given)]
    edges = np.quantile(known, np.linspace(0, 1, _PARTS + 1)[1:-1]) if len(known) else np.zeros(0)
    # A figure that is the same for many makes fewer parts, not empty ones.
    edges = np.unique(edges)
    bounds = ["", *(f"{edge:.4g}" for edge in edges), ""]
    names = [f"{name}={low}..{high}" for low, high in pairwise(bounds)]
    places = np.searchsorted(edges, given, side="right")
    return [
        names[int(place)] if fine else f"{name}=missing"
        for place, fine in zip(places, np.isfinite(given), strict=True)
    ]


def told_apart(known: Sequence[Mapping[str, str]]) -> list[tuple[str, ...]]:
    """The names of each sample's parts by what is known of it, such as `camera=phone`.

    Left out is what has one value only, or more than 20.

    >>> told_apart([{"camera": "a", "id": "1"}, {"camera": "b"}, {"camera": "a"}])
    [('camera=a',), ('camera=b',), ('camera=a',)]
    """
    counts: dict[str, Counter[str]] = {}
    for one in known:
        for name, value in one.items():
            counts.setdefault(name, Counter())[value] += 1
    # Several values, and some of them shared: an id that half of the samples lack is none.
    kept = {
        name
        for name, seen in counts.items()
        if name not in _TAKEN and 2 <= len(seen) <= _MOST_VALUES and max(seen.values()) > 1
    }
    return [tuple(f"{n}={one[n]}" for n in sorted(one.keys() & kept)) for one in known]
