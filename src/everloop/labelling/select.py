"""Which samples to ask people about."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.data.pool import Pool
from everloop.ids import SampleId
from everloop.labelling.strategy import Candidates, Strategy, strategy_named
from everloop.tasks.task import Learnable
from everloop_runtime.answers.class_probabilities import ClassProbabilities

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Selection:
    """The samples of one round."""

    train: tuple[SampleId, ...]
    """Those that teach most."""
    random: tuple[SampleId, ...]
    """To learn from too, but drawn uniformly at random from the training side: what is measured on
    them is true of all."""
    holdout: tuple[SampleId, ...]
    """Drawn uniformly at random from the hold-out side."""


def choose(
    pool: Pool,
    task: Learnable,
    *,
    budget: int,
    holdout_budget: int,
    seed: int,
    labels: int,
    strategy: str = "hybrid",
    random_share: float = 0.0,
) -> Selection:
    """Choose at most `budget` training and `holdout_budget` hold-out samples.

    A sample's side is what it was given when it first came in. `labels`: how many there are to
    learn from. `random_share`: that part of `budget` is drawn uniformly at random. The same pool
    and seed give the same choice. Raises `Refused` for an unknown strategy.
    """
    import numpy as np

    by, generator = strategy_named(strategy), np.random.default_rng(seed)
    held = np.array([side == "holdout" for side in pool.sides], dtype=bool)
    holdout = generator.permutation(np.flatnonzero(held))[:holdout_budget]
    open_rows = np.flatnonzero(~held)
    taught = choose_rows(
        candidates_of(pool, open_rows, task, labels), by, budget, random_share, generator
    )

    def named(rows: "NDArray[np.intp]") -> tuple[SampleId, ...]:
        return tuple(pool.samples[row] for row in rows)

    return Selection(named(open_rows[taught[1]]), named(open_rows[taught[0]]), named(holdout))


def choose_rows(
    candidates: Candidates,
    strategy: Strategy,
    budget: int,
    random_share: float,
    generator: "np.random.Generator",
) -> "tuple[NDArray[np.intp], NDArray[np.intp]]":
    """Rows drawn uniformly at random, and rows that the strategy chose among the others."""
    import numpy as np

    drawn = generator.permutation(len(candidates))[: round(budget * random_share)]
    rest = np.setdiff1d(np.arange(len(candidates)), drawn)
    chosen = strategy(_rows(candidates, rest), budget - len(drawn), generator)
    return drawn, rest[chosen]


def candidates_of(pool: Pool, rows: "NDArray[np.intp]", task: Learnable, labels: int) -> Candidates:
    """Some rows of a pool as strategies see them."""
    import numpy as np

    if pool.values is None:
        unsure, odds = np.ones(len(rows)), None
    else:
        values = pool.values[rows]
        one = task.answer()["kind"] == ClassProbabilities.name
        unsure, odds = task.unsureness(values), values if one else None
    classes = max(1, len(task.classes))
    return Candidates(pool.embeddings[rows], unsure, odds, pool.known, labels, classes)


def draw(pool: Pool, budget: int, seed: int) -> tuple[SampleId, ...]:
    """At most `budget` samples of the pool, uniformly at random."""
    import numpy as np

    rows = np.random.default_rng(seed).permutation(len(pool.samples))[:budget]
    return tuple(pool.samples[row] for row in rows)


def _rows(candidates: Candidates, rows: "NDArray[np.intp]") -> Candidates:
    odds = None if candidates.odds is None else candidates.odds[rows]
    return Candidates(
        candidates.embeddings[rows],
        candidates.unsure[rows],
        odds,
        candidates.known,
        candidates.labels,
        candidates.classes,
    )
