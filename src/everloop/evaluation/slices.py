"""The parts of a hold-out that are looked at on their own, by what its labels say."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from everloop.labels import ValueLabel, decode, names_in

_PARTS = 4
_TEXTS = 10_000


def groups_of(labels: Sequence[str]) -> list[tuple[str, ...]]:
    """The names of each sample's parts: its classes, or the quarter its figure lies in.

    >>> groups_of(["cat", '{"classes":["cat","dog"]}'])
    [('class=cat',), ('class=cat', 'class=dog')]
    """
    figures = [label.value for text in labels if isinstance(label := decode(text), ValueLabel)]
    if len(figures) == len(labels):
        return _quarters(figures)
    return [_classes(text) for text in labels]


@lru_cache(_TEXTS)
def _classes(text: str) -> tuple[str, ...]:
    return tuple(f"class={name}" for name in dict.fromkeys(names_in(decode(text))))


def _quarters(figures: Sequence[float]) -> list[tuple[str, ...]]:
    import numpy as np

    edges = np.quantile(figures, np.linspace(0, 1, _PARTS + 1)[1:-1]) if figures else np.zeros(0)
    bounds = ["", *(f"{edge:.4g}" for edge in edges), ""]
    names = [f"target={low}..{high}" for low, high in pairwise(bounds)]
    return [(names[int(np.searchsorted(edges, figure, side="right"))],) for figure in figures]
