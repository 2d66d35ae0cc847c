"""What a user declares: a product, its task, and the function that learns it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from everloop.errors import Refused
from everloop.ids import Json
from everloop.space import Constraint, Dimension, Goal, Space

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Params: TypeAlias = Mapping[str, Any]
"""The table `[train.params]` of `everloop.toml`."""


class TaskDeclaration(Protocol):
    """What the kernel needs to know of a task: how to name it and how to make it again."""

    @property
    def kind(self) -> str:
        """The entry-point name of the task, such as `image-classification`."""

    def declaration(self) -> Mapping[str, Json]:
        """The task's settings as JSON; `kind` is one of the keys."""


class TrainingData(Protocol):
    """The training side of one snapshot, read as the service will read."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; a label is an index into this."""

    @property
    def features(self) -> tuple[str, ...]:
        """The columns of `rows`."""

    def __len__(self) -> int:
        """How many samples there are, N."""

    def images(self) -> "NDArray[np.float32]":
        """All images, `[N, channels, height, width]`, from 0 to 1."""

    def rows(self) -> "NDArray[np.float32]":
        """All rows, `[N, features]`: figures, categories by number, NaN for what is missing."""

    def labels(self) -> Any:
        """In the order of `images` or `rows`: class indices `[N]`; 0 and 1 `[N, K]` where a sample
        has any number of classes; figures `[N]`; an array `[boxes, 5]` an image for boxes.
        """


class Run(Protocol):
    """One training attempt, as the training function sees it."""

    @property
    def seed(self) -> int:
        """What all randomness was seeded with before the function was called."""

    @property
    def folder(self) -> Path:
        """A folder of the run's own; files in it are kept as the run's artifacts."""

    def log(self, step: int, **metrics: float) -> None:
        """Record figures of one step (an epoch, say)."""

    def note(self, text: str) -> None:
        """Keep a line for people with the run: what it found, or did without."""

    def resume(self, **parts: Any) -> int:
        """Name what a checkpoint is to hold, and the step to begin with: 0 in a new run.

        In a run that was interrupted the parts are brought back to its newest checkpoint first,
        and so is all randomness. A part has `state_dict` and `load_state_dict` as models,
        optimizers and schedules of PyTorch have, or is a generator of NumPy or PyTorch. Call it
        once all parts are made, before the first step.
        """

    def checkpoint(self, step: int) -> None:
        """Keep the parts as they are after `step`, whole or not at all.

        Nothing is written more often than `[train] checkpoint` says, so call it after each step.
        """


TrainFunction: TypeAlias = Callable[[TrainingData, Params, Run], Any]


class Shown(Protocol):
    """One picture as labellers would get it, for `@product.moderate`."""

    @property
    def sample(self) -> str:
        """The sample's id."""

    @property
    def pixels(self) -> "NDArray[np.uint8]":
        """`[height, width, 3]`, RGB, upright, with personal data covered."""

    @property
    def regions(self) -> "Sequence[Any]":
        """What was covered: each has `kind`, `left`, `top`, `width`, `height`, `score`."""


ModerateFunction: TypeAlias = Callable[[Shown], str | None]
"""Why a picture must not be shown to labellers at all; None when it may."""


def _line(frame: FrameType) -> tuple[str, int]:
    return frame.f_code.co_filename, frame.f_lineno


class Product:
    """A product: `task` says what is learnt, the function under `@product.train` how."""

    def __init__(self, name: str, *, task: TaskDeclaration) -> None:
        if not name or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise Refused(f"a product's name is made of letters, digits, '-' and '_'; got {name!r}")
        self.name = name
        self.task = task
        caller = inspect.currentframe()
        caller = caller.f_back if caller is not None else None
        self.where = ("product.py", 1) if caller is None else _line(caller)
        """The file and line that declare it."""
        self._train: TrainFunction | None = None
        self._moderate: ModerateFunction | None = None
        self._space: Space | None = None

    def train(self, function: TrainFunction) -> TrainFunction:
        """Use as `@product.train`: what `function` returns is exported to ONNX."""
        if self._train is not None:
            raise Refused(f"product {self.name!r} already has a training function")
        self._train = function
        return function

    def space(
        self,
        dimensions: Mapping[str, Dimension],
        *,
        metric: str | None = None,
        goal: Goal | None = None,
        watch: str | None = None,
        where: Constraint | None = None,
    ) -> None:
        """Declare what `everloop tune` varies: parameters by name, each Float, Int or Choice.

        `metric`: the task's metric to judge by, its quality by default; `goal`: whether more or
        less of it is better, told by its name by default. `watch`: what the training function
        logs and attempts are stopped early by. `where`: says of a point whether it is worth
        trying. Raises `Refused` with all mistakes.
        """
        if self._space is not None:
            raise Refused(f"product {self.name!r} already has a search space")
        self._space = Space(dimensions, metric, goal, watch, where)

    def moderate(self, function: ModerateFunction) -> ModerateFunction:
        """Use as `@product.moderate`: a reason from `function` holds a picture back."""
        if self._moderate is not None:
            raise Refused(f"product {self.name!r} already has a function marked @product.moderate")
        self._moderate = function
        return function

    @property
    def moderation(self) -> ModerateFunction | None:
        """The function given to `@product.moderate`, if there is one."""
        return self._moderate

    @property
    def search_space(self) -> Space | None:
        """What was given to `space`, if there is any."""
        return self._space

    @property
    def training_function(self) -> TrainFunction:
        """The function given to `@product.train`; `Refused` when there is none."""
        if self._train is None:
            raise Refused(f"product {self.name!r} has no function marked @product.train")
        return self._train
