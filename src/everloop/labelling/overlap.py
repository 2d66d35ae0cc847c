"""What is added to a round so that labels can be judged: second looks, and known answers.

Whoever labels cannot tell them from other tasks: they lie among them, and carry an offer as those
do.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from everloop.ids import Json

Row: TypeAlias = Mapping[str, Json]
"""A planned task: `sample`, `purpose`, `suggestion`, `confidence`; `copy` of a second look, `known`
of a gold question."""

_LOOKED_AT_TWICE = frozenset({"train", "holdout"})
"""An audit's estimate counts each of its samples once."""


def with_second_looks(plan: Sequence[Row], *, people: int, share: float, seed: int) -> list[Row]:
    """The plan with tasks for `people` of a share of its samples, drawn at random.

    The further tasks lie anywhere after the first; the queue gives them to others.
    """
    import numpy as np

    rows = list(plan)
    if people < 2:
        return rows
    generator = np.random.default_rng([seed, 1])
    able = [n for n, row in enumerate(rows) if row["purpose"] in _LOOKED_AT_TWICE]
    chosen = sorted(generator.permutation(able)[: round(share * len(able))].tolist())
    copies = [{**rows[n], "copy": copy} for copy in range(1, people) for n in chosen]
    return _scattered(rows, copies, seed)


def with_known(plan: Sequence[Row], known: Sequence[Row], *, share: float, seed: int) -> list[Row]:
    """The plan with gold questions, so many that they are `share` of it; fewer where there are
    fewer in `known`."""
    wanted = round(len(plan) * share / (1 - share))
    return _scattered(list(plan), list(known)[:wanted], seed + 1)


def _scattered(rows: list[Row], more: Sequence[Row], seed: int) -> list[Row]:
    """The rows in their order, with others among them at random places; the first stays first."""
    import numpy as np

    if not rows:
        return list(more)
    generator = np.random.default_rng([seed, 2])
    places = sorted(generator.integers(1, len(rows) + 1, len(more)).tolist(), reverse=True)
    # From the end, so that places stay what they are; the order of what is added is kept too.
    for place, row in zip(places, reversed(more), strict=True):
        rows.insert(place, row)
    return rows
