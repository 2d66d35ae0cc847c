"""What is watched of a bundle's answers, and how both sides of its snapshot looked.

Made once in training and carried in the bundle's reference: nothing later reads training data.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from everloop.data.file_figures import FILE_FIGURES
from everloop.errors import Refused
from everloop.monitoring.calibrated import cooled
from everloop.monitoring.sketch import BINS, Grid, Sketch
from everloop.monitoring.waves import Waves
from everloop.tasks.task import DriftFeatures, Exports, Uncertainty
from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.arrays import read_arrays

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ANSWERS = 32
"""So many figures of the answers are watched: of more, those that vary most."""
CONFIDENCE, CALIBRATED, ANSWER, FAR = "confidence", "calibrated", "answer", "embedding far"
_NAMES = ("names", "families", "edges", "train", "train_sums", "train_waves", "holdout",
          "holdout_sums", "holdout_waves", "directions", "wave_mean", "cumulants", "confusion",
          "temperature")  # fmt: skip
_PREFIX = "profile_"
MARK = f"{_PREFIX}names"
"""The array by which a file with a profile is told from one of an older version."""


class Watchable(DriftFeatures, Uncertainty, Exports, Protocol):
    """What watching needs of a task."""


@dataclass(frozen=True)
class Profile:
    """The bins of what is watched, and both sides of the snapshot in them."""

    grid: Grid
    families: tuple[str, ...]
    """Of each figure: `answers`, `embedding`, `inputs`; `files`, which are looked at for quality
    alone; or `-` where it is no test of its own."""
    train: Sketch
    holdout: Sketch
    waves: Waves
    confusion: "NDArray[np.float64]"
    """How many of the hold-out have answer `i` and label `j`, `[K, K]`; `[0, 0]` where answers are
    not one class of several."""
    temperature: float
    """At which the hold-out's mean confidence is its accuracy."""

    def arrays(self) -> "dict[str, NDArray[Any]]":
        """All of it as plain arrays by name, for a bundle."""
        import numpy as np

        def text(names: tuple[str, ...]) -> "NDArray[Any]":
            return np.frombuffer(json.dumps(names).encode(), np.uint8)

        found: tuple[NDArray[Any], ...] = (
            text(self.grid.names), text(self.families), self.grid.edges,
            self.train.counts.astype(np.int32), self.train.sums, self.train.moments,
            self.holdout.counts.astype(np.int32), self.holdout.sums, self.holdout.moments,
            self.waves.directions, self.waves.mean, self.waves.cumulants,
            self.confusion, np.array([self.temperature]),
        )  # fmt: skip
        return {f"{_PREFIX}{name}": array for name, array in zip(_NAMES, found, strict=True)}


def read_profile(data: bytes) -> Profile:
    """What `arrays` gave, in the bytes of an `.npz` file. `Refused` when it is not there whole."""
    told = read_arrays(data, [f"{_PREFIX}{name}" for name in _NAMES])
    found = {name: told[f"{_PREFIX}{name}"] for name in _NAMES}
    try:
        names, families = (tuple(json.loads(found[n].tobytes())) for n in ("names", "families"))
    except ValueError as error:
        raise Refused(f"the names of what is watched cannot be read: {error}") from error
    shape = (len(names), BINS + 1)
    if (
        len(families) != len(names)
        or found["edges"].shape != (len(names), BINS - 1)
        or any(found[side].shape != shape for side in ("train", "holdout"))
    ):
        raise Refused(f"what is watched has not the shape of {len(names)} figures")
    return Profile(
        Grid(names, found["edges"]),
        families,
        Sketch(found["train"].astype("int64"), found["train_sums"], found["train_waves"]),
        Sketch(found["holdout"].astype("int64"), found["holdout_sums"], found["holdout_waves"]),
        Waves(found["directions"], found["wave_mean"], found["cumulants"]),
        found["confusion"],
        float(found["temperature"][0]),
    )


def answer_figures(
    task: Watchable, values: "NDArray[np.float32]", temperature: float
) -> "dict[str, NDArray[np.float32]]":
    """Figures of answers `[n, ...]`, `[n]` each: what the task watches, and how sure they are."""
    import numpy as np

    found = {name: np.asarray(each) for name, each in task.drift_features(values).items()}
    sure = task.confidences(values)
    if np.isfinite(sure).all():
        found[CONFIDENCE] = sure.astype(np.float32)
    if task.answer()["kind"] == ClassProbabilities.name:
        found[CALIBRATED] = cooled(values, temperature).astype(np.float32)
        found[ANSWER] = values.argmax(axis=1).astype(np.float32)
    return found


def embedding_figures(
    centred: "NDArray[np.float32]", projected: "NDArray[np.float32]"
) -> "dict[str, NDArray[np.float32]]":
    """Figures of embeddings without the mean `[n, D]` and on the axes `[n, P]`, `[n]` each.

    `embedding far` is the length of what no axis has.
    """
    import numpy as np

    found = on_axes(projected)
    if centred.shape[1] > projected.shape[1]:
        rest = np.einsum("nd,nd->n", centred, centred)
        rest = rest - np.einsum("np,np->n", projected, projected)
        found[FAR] = np.sqrt(np.maximum(rest, 0)).astype(np.float32)
    return found


def on_axes(projected: "NDArray[np.float32]") -> "dict[str, NDArray[np.float32]]":
    """The places on each axis, `[n]`, of `[n, P]`."""
    return {f"embedding axis {place}": projected[:, place] for place in range(projected.shape[1])}


@dataclass(frozen=True, slots=True)
class Seen:
    """Figures of some answers by family; `[n]` each, of inputs perhaps fewer."""

    answers: "Mapping[str, NDArray[np.float32]]"
    embedding: "Mapping[str, NDArray[np.float32]]"
    inputs: "Mapping[str, NDArray[np.float32]]"
    projected: "NDArray[np.float32]"
    """Embeddings on the principal axes, `[n, P]`."""

    def all(self) -> "dict[str, NDArray[np.float32]]":
        """By name."""
        return {**self.answers, **self.embedding, **self.inputs}

    def part(self, rows: "slice | NDArray[np.intp]") -> "Seen":
        """Those of some answers, without the inputs': of these there are fewer, and nobody knows
        whose."""
        answers, embedding = (
            {name: values[rows] for name, values in figures.items()}
            for figures in (self.answers, self.embedding)
        )
        return Seen(answers, embedding, {}, self.projected[rows])


def make_profile(
    train: Seen, holdout: Seen, confusion: "NDArray[np.float64]", temperature: float
) -> Profile:
    """The profile of both sides of a snapshot."""
    answers = _strongest(holdout.answers)
    figures = {**answers, **holdout.embedding, **holdout.inputs}
    grid = Grid.fitted(figures)
    families = [
        *("-" if name in (CALIBRATED, ANSWER) else "answers" for name in answers),
        *("embedding" for _ in holdout.embedding),
        *("files" if name in FILE_FIGURES else "inputs" for name in holdout.inputs),
    ]
    waves = Waves.fitted(holdout.projected)
    before, now = (
        replace(grid.sketch(side.all()), moments=waves.sums(side.projected))
        for side in (train, holdout)
    )
    return Profile(grid, tuple(families), before, now, waves, confusion, temperature)


def _strongest(
    figures: "Mapping[str, NDArray[np.float32]]",
) -> "dict[str, NDArray[np.float32]]":
    """As many of the figures as are watched: those that vary most, in their order."""
    import numpy as np

    always = {name for name in (CONFIDENCE, CALIBRATED, ANSWER) if name in figures}
    others = [name for name in figures if name not in always]
    by_spread = sorted(others, key=lambda name: -float(np.nanvar(figures[name])))
    kept = always.union(by_spread[:_ANSWERS])
    return {name: values for name, values in figures.items() if name in kept}
