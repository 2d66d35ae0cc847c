"""Which samples to ask people about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from everloop.data.pool import Pool
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop.tasks.task import Uncertainty

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SHORTLIST = 4
"""The hybrid looks for diversity among this many times the budget of uncertain samples."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The samples of one round."""

    train: tuple[SampleId, ...]
    holdout: tuple[SampleId, ...]
    """Drawn uniformly at random, so that what is measured on them is unbiased."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A pool, and how unsure each of its answers is, `[n]`."""

    pool: Pool
    unsure: "NDArray[np.float64]"


Strategy: TypeAlias = (
    "Callable[[Judged, NDArray[np.intp], int, np.random.Generator], NDArray[np.intp]]"
)
"""From a pool, the rows allowed and a budget to the rows chosen."""


def choose(
    pool: Pool,
    task: Uncertainty,
    *,
    budget: int,
    holdout_budget: int,
    seed: int,
    strategy: str = "hybrid",
) -> Selection:
    """Choose at most `budget` training and `holdout_budget` hold-out samples.

    A sample's side is what it was given when it first came in. The same pool and seed give the
    same choice. Raises `Refused` for an unknown strategy.
    """
    import numpy as np

    if strategy not in STRATEGIES:
        told = ", ".join(sorted(STRATEGIES))
        raise Refused(f"there is no labelling strategy {strategy!r}; there are: {told}")
    generator = np.random.default_rng(seed)
    sides = np.array([side == "holdout" for side in pool.sides], dtype=bool)
    held, open_rows = np.flatnonzero(sides), np.flatnonzero(~sides)
    judged = Judged(pool, task.unsureness(pool.values))
    holdout = _random(judged, held, holdout_budget, generator)
    train = STRATEGIES[strategy](judged, open_rows, budget, generator)
    return Selection(
        tuple(pool.samples[row] for row in train), tuple(pool.samples[row] for row in holdout)
    )


def draw(pool: Pool, budget: int, seed: int) -> tuple[SampleId, ...]:
    """At most `budget` samples of the pool, uniformly at random."""
    import numpy as np

    rows = np.random.default_rng(seed).permutation(len(pool.samples))[:budget]
    return tuple(pool.samples[row] for row in rows)


def _random(
    _judged: Judged, rows: "NDArray[np.intp]", budget: int, generator: "np.random.Generator"
) -> "NDArray[np.intp]":
    return generator.permutation(rows)[:budget]


def _margin(
    judged: Judged, rows: "NDArray[np.intp]", budget: int, _generator: "np.random.Generator"
) -> "NDArray[np.intp]":
    import numpy as np

    order = np.argsort(-judged.unsure[rows], kind="stable")
    return rows[order[:budget]]


def _hybrid(
    judged: Judged, rows: "NDArray[np.intp]", budget: int, generator: "np.random.Generator"
) -> "NDArray[np.intp]":
    """Uncertain and unlike each other.

    Among the `_SHORTLIST` times `budget` least sure samples, greedily the one whose
    distance to the nearest chosen one, times its uncertainty, is largest (the farthest-first
    traversal of Gonzalez 1985, weighted).
    """
    import numpy as np

    short = _margin(judged, rows, budget * _SHORTLIST, generator)
    if len(short) <= budget:
        return short
    points = judged.pool.embeddings[short].astype(np.float64)
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    unsure = judged.unsure[short]
    # The first of the shortlist is the least sure of all.
    chosen = [0]
    nearest = np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < budget:
        following = int(np.argmax(nearest * unsure))
        chosen.append(following)
        nearest = np.minimum(nearest, np.linalg.norm(points - points[following], axis=1))
        nearest[chosen] = -1.0
    return short[chosen]


STRATEGIES: Mapping[str, Strategy] = {"hybrid": _hybrid, "margin": _margin, "random": _random}
"""By the name that `[labelling] strategy` gives."""
