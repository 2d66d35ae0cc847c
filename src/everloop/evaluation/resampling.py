"""How sure metrics are: the hold-out drawn again and again from itself (Efron 1979)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from everloop.tasks.task import Resampled, Resamples, Scorer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Interval: TypeAlias = tuple[float, float]

_FEW = 100
"""Draws where a task's metrics must be computed anew for each."""
_AT_ONCE = 4_000_000
"""Weights that are held at once."""
_SIDES = (0.025, 0.975)
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def metric_draws(
    task: Scorer,
    values: "NDArray[np.float32]",
    targets: Any,
    singly: "Mapping[str, NDArray[np.float64]]" = _NOTHING,
) -> "Mapping[str, NDArray[np.float64]]":
    """Each metric of seeded resamples of the samples, `[B]`.

    `singly`: metrics that are means of one figure a sample, `[N]`, beside the task's own. The draws
    depend on nothing but the number of samples, so those of two models on one hold-out are pairs.
    Answers that are no numbers give no draws.
    """
    import numpy as np

    if not len(values) or not np.isfinite(values).all():
        return {}
    if isinstance(task, Resamples):
        ready = task.resample(values, targets)
    else:
        ready = _one_by_one(task, values, targets)
    found: dict[str, list[NDArray[np.float64]]] = {}
    for weights in _drawn(len(values), ready.draws):
        for name, figures in ready.metrics(weights).items():
            found.setdefault(name, []).append(figures)
        for name, figures in singly.items():
            found.setdefault(name, []).append(weights @ figures / weights.sum(axis=1))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def interval(draws: "NDArray[np.float64]") -> Interval:
    """95% percentile interval; NaN where a draw has no figure for more than one in twenty."""
    import numpy as np

    known = draws[np.isfinite(draws)]
    if len(known) < 0.95 * len(draws) or not len(known):
        return math.nan, math.nan
    low, high = np.quantile(known, _SIDES)
    return float(low), float(high)


def _drawn(samples: int, draws: int) -> "Iterator[NDArray[np.float64]]":
    """How often each sample is drawn, `[B, N]`, in parts of bounded size."""
    import numpy as np

    generator = np.random.default_rng(0)
    step = max(1, _AT_ONCE // samples)
    for start in range(0, draws, step):
        rows = generator.integers(0, samples, (min(step, draws - start), samples))
        # One count over all rows: each row's samples are numbered on from those of the one before.
        rows += np.arange(len(rows))[:, None] * samples
        counts = np.bincount(rows.reshape(-1), minlength=rows.size)
        yield counts.reshape(rows.shape).astype(np.float64)


def _one_by_one(task: Scorer, values: "NDArray[np.float32]", targets: Any) -> Resampled:
    import numpy as np

    def metrics(weights: "NDArray[np.float64]") -> "Mapping[str, NDArray[np.float64]]":
        found: dict[str, list[float]] = {}
        for row in weights:
            which = np.repeat(np.arange(len(values)), row.astype(int))
            for name, figure in task.score(values[which], _taken(targets, which)).items():
                found.setdefault(name, []).append(figure)
        return {name: np.array(figures) for name, figures in found.items()}

    return Resampled(_FEW, metrics)


def _taken(targets: Any, which: "Sequence[int] | NDArray[np.int64]") -> Any:
    import numpy as np

    if isinstance(targets, np.ndarray):
        return targets[which]
    return [targets[row] for row in which]
