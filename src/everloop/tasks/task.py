"""What every modality says of itself, as narrow as each caller needs it.

A task of a third party implements `Learnable` (or `Task` alone, if its data are only to be
imported, checked and versioned), is registered under the entry-point group `everloop.tasks`, and
passes `everloop.testing.tasks.TaskContract`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    Protocol,
    TypeAlias,
    runtime_checkable,
)

from everloop.errors import Refused
from everloop.ids import Json
from everloop.labels import Label, LabelKind
from everloop_runtime.samples import Spec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Modality: TypeAlias = Literal["image", "row"]
"""What a sample's bytes are: a picture's file, or the canonical JSON of a table's row."""

Widget: TypeAlias = Literal["one-of", "any-of", "boxes", "figure"]
"""How a person answers a label task: one class, any number of them, boxes, or a figure."""

Targets: TypeAlias = Any
"""Labels as a training function and the metrics take them; the task's own `targets` makes them."""


@runtime_checkable
class Task(Protocol):
    """What importing, checking, versioning and exporting need to know of a task."""

    @property
    def kind(self) -> str:
        """The name of its entry point."""

    @property
    def modality(self) -> Modality:
        """What a sample is."""

    @property
    def label_kind(self) -> LabelKind:
        """Which kind of label it learns from."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that its labels may use; none where labels are figures."""

    def accepts(self, label: Label) -> str | None:
        """Why a label is none of this task's; None when it is one."""

    def declaration(self) -> Mapping[str, Json]:
        """The task's settings as JSON; `kind` is one of the keys."""


@runtime_checkable
class TableTask(Task, Protocol):
    """A task whose samples are rows."""

    @property
    def target(self) -> str:
        """The column that is learnt."""

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that it is learnt from."""

    @property
    def time(self) -> str | None:
        """The column that says when a row came about."""


class Exports(Protocol):
    """What a bundle of the task takes and answers."""

    def input_of(self, samples: Callable[[], Iterable[bytes]]) -> Spec:
        """What a model takes; `samples` gives the training side's original bytes, if needed."""

    def answer(self) -> Mapping[str, Any]:
        """The kind of answer and its settings, as the bundle's manifest declares them.

        See `everloop_runtime.answers`. The graph's output is named by it.
        """


class Scorer(Protocol):
    """How good answers are. `values`: `[N, ...]`, as the kind of answer has them."""

    @property
    def quality(self) -> str:
        """What `qualities` are called, such as `accuracy`; more is better."""

    def targets(self, labels: Sequence[str]) -> Targets:
        """The texts of labels as `score` and the training function take them."""

    def score(self, values: "NDArray[np.float32]", targets: Targets) -> Mapping[str, float]:
        """Metrics by the field's names and definitions; NaN where answers are no numbers."""

    def qualities(self, values: "NDArray[np.float32]", targets: Targets) -> "NDArray[np.float64]":
        """How good each single answer is, `[N]`: 1 and 0 where it can only be right or wrong."""


class Resampled(NamedTuple):
    """Answers made ready to be measured on many resamples of themselves at once."""

    draws: int
    """How many resamples are worth their time."""
    metrics: "Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]"
    """From how often each sample was drawn, `[B, N]`, to each metric, `[B]`."""


@runtime_checkable
class Resamples(Protocol):
    """A scorer that is quick to resample. Others are scored again for each of fewer resamples."""

    def resample(self, values: "NDArray[np.float32]", targets: Targets) -> Resampled:
        """The metrics of `score`, for resamples; where each sample is drawn once, the same."""


class Uncertainty(Protocol):
    """How sure answers are."""

    def confidences(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """0 to 1 for each answer, `[N]`; NaN where the kind of answer has none."""

    def unsureness(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """How much a label would teach, by the answer alone, `[N]`, 0 to 1."""


class DriftFeatures(Protocol):
    """What is watched of the answers, beside the embeddings."""

    def drift_features(self, values: "NDArray[np.float32]") -> "Mapping[str, NDArray[np.float32]]":
        """One number an answer, `[N]`, for each feature by its name."""


class Asks(Protocol):
    """How people are asked for labels."""

    @property
    def widget(self) -> Widget:
        """How they answer."""


@runtime_checkable
class Learnable(Task, Exports, Scorer, Uncertainty, DriftFeatures, Asks, Protocol):
    """A task that can be learnt, evaluated, served, watched and labelled."""


def why_not_learnable(task: Task) -> str | None:
    """Why no model can be learnt of a task; None when one can."""
    if isinstance(task, Learnable):
        return None
    return (
        f"{task.kind} does not say how it is learnt (see everloop.tasks.task.Learnable); "
        "its data can be imported, checked, versioned and exported"
    )


def learnable(task: Task) -> Learnable:
    """The task as training and evaluation see it; `Refused` when this version cannot learn it."""
    if isinstance(task, Learnable):
        return task
    raise Refused(why_not_learnable(task))
