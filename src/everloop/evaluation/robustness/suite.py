"""The corruption suite: answers to damaged samples, by kind and strength of the damage."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

from everloop.data.training_data import SnapshotSide
from everloop.errors import Refused
from everloop.evaluation.robustness import pictures, rows
from everloop.tasks.task import Learnable
from everloop_runtime.rows import RowSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Predict = Callable[[NDArray[Any]], NDArray[np.float32]]
    Damaged = Callable[[NDArray[Any], int, np.random.Generator], "NDArray[Any] | None"]

_LEAST = 16
"""Fewer samples tell nothing, however slow the model."""
_AT_ONCE = 32
_TRIED = 8


@dataclass(frozen=True, slots=True)
class Suite:
    """What is tried; see `[evaluation]` of the policy."""

    names: tuple[str, ...] = ()
    """Empty: all that fit."""
    severities: tuple[int, ...] = (1, 3, 5)
    samples: int = 256
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Corrupted:
    """How answers are under one damage at one strength."""

    name: str
    severity: int
    quality: float
    """The mean."""


@dataclass(frozen=True, slots=True)
class Robustness:
    """What the suite found."""

    samples: int
    clean: float
    """The mean quality of the same samples without damage."""
    results: tuple[Corrupted, ...]

    @property
    def mean(self) -> float:
        """Over all damages and strengths."""
        return sum(result.quality for result in self.results) / len(self.results)

    def facts(self, quality: str) -> Mapping[str, float]:
        """`mean_corruption_<quality>` and `corruption_loss`, what is lost by damage on the mean."""
        return {f"mean_corruption_{quality}": self.mean, "corruption_loss": self.clean - self.mean}


def fitting(held: SnapshotSide, task: Learnable) -> "Mapping[str, Damaged]":
    """The damages that fit a hold-out, by name."""
    spec = held.spec
    if isinstance(spec, RowSpec):
        return {name: _of_rows(damage, spec, held.inputs) for name, damage in rows.DAMAGES.items()}
    return {
        name: damage
        for name, damage in pictures.DAMAGES.items()
        if task.label_kind != "boxes" or name not in pictures.MOVING
    }


def _of_rows(damage: "rows.Damage", spec: RowSpec, whole: "NDArray[np.float32]") -> "Damaged":
    return lambda taken, severity, generator: damage(taken, severity, spec, whole, generator)


def robustness(
    predict: "Predict",
    held: SnapshotSide,
    task: Learnable,
    suite: Suite,
    clock: Callable[[], float] = time.perf_counter,
) -> Robustness | None:
    """The mean quality of the answers to damaged samples; None where no damage fits.

    The samples are the first by their ids, so the same of one hold-out each time, and the damage is
    seeded. Costs at most about `suite.seconds`: where `predict` is slow, fewer samples are taken,
    and at least 16. Raises `Refused` naming what there is when a damage does not fit.
    """
    import numpy as np

    able = fitting(held, task)
    wrong = [name for name in suite.names if name not in able]
    if wrong:
        told = ", ".join(able)
        raise Refused(f"the damage {wrong[0]!r} does not fit a {task.kind}; these do: {told}")
    chosen = {name: able[name] for name in suite.names or able}
    runs = len(chosen) * len(suite.severities)
    which = _which(predict, held, suite, runs, clock)
    clean = task.qualities(predict(held.inputs[which]), picked(held.targets, which))
    results = []
    for name, damage in chosen.items():
        for severity in suite.severities:
            given = [predict(part) for part in damaged(damage, held, which, name, severity)]
            if given:
                found = task.qualities(np.concatenate(given), picked(held.targets, which))
                results.append(Corrupted(name, severity, float(found.mean())))
    return Robustness(len(which), float(clean.mean()), tuple(results)) if results else None


def damaged(
    damage: "Damaged", held: SnapshotSide, which: Sequence[int], name: str, severity: int
) -> "Iterator[NDArray[Any]]":
    """Some rows of a side damaged, a batch at a time, the same again each time.

    Nothing where the damage has nothing to damage.
    """
    import numpy as np

    generator = np.random.default_rng(crc32(f"{name} {severity}".encode()))
    for start in range(0, len(which), _AT_ONCE):
        found = damage(held.inputs[which[start : start + _AT_ONCE]], severity, generator)
        if found is None:
            return
        yield found


def _which(
    predict: "Predict",
    held: SnapshotSide,
    suite: Suite,
    runs: int,
    clock: Callable[[], float],
) -> list[int]:
    """The rows that are damaged, as many as there is time for."""
    order = sorted(range(len(held)), key=lambda row: held.samples[row])[: suite.samples]
    tried = order[:_TRIED]
    predict(held.inputs[tried])
    began = clock()
    predict(held.inputs[tried])
    each = (clock() - began) / len(tried)
    # Damaging costs about as much as a small model does.
    affordable = int(suite.seconds / max(1.5 * each * runs, 1e-9))
    return sorted(order[: max(_LEAST, affordable)])


def picked(targets: Any, which: Sequence[int]) -> Any:
    """The labels of some rows of a side, as the task has them."""
    import numpy as np

    if isinstance(targets, np.ndarray):
        return targets[list(which)]
    return [targets[row] for row in which]
