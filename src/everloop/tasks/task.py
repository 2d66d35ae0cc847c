"""What every modality says of itself, as narrow as each caller needs it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

from everloop.errors import Refused
from everloop.ids import Json
from everloop.labels import Label, LabelKind
from everloop_runtime.images import ImageSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Modality: TypeAlias = Literal["image", "row"]
"""What a sample's bytes are: a picture's file, or the canonical JSON of a table's row."""


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


@runtime_checkable
class Learnable(Task, Protocol):
    """A task that this version can learn, evaluate and serve: one class for each image."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""

    @property
    def channels(self) -> int:
        """1 or 3."""

    def spec(self) -> ImageSpec:
        """The pixels a model of this task takes."""

    def score(
        self, probabilities: "NDArray[np.float32]", labels: "NDArray[np.int64]"
    ) -> Mapping[str, float]:
        """Metrics of answers `[N, K]` against class indices `[N]`."""


def why_not_learnable(task: Task) -> str | None:
    """Why no model can be learnt of a task; None when one can."""
    if isinstance(task, Learnable):
        return None
    return (
        f"{task.kind} cannot be learnt in this version yet; "
        "its data can be imported, checked, versioned and exported"
    )


def learnable(task: Task) -> Learnable:
    """The task as training and evaluation see it; `Refused` when this version cannot learn it."""
    if isinstance(task, Learnable):
        return task
    raise Refused(why_not_learnable(task))
