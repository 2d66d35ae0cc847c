"""The port: a way of laying out samples and their labels as files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from everloop.data.formats.sketch import Sketch
from everloop.data.incoming import Incoming
from everloop.data.sources.tree import Tree
from everloop.labels import LabelKind
from everloop.tasks.task import Modality, TableTask, Task


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the product can use of a source."""

    label_kind: LabelKind = "class"
    modality: Modality = "image"
    classes: tuple[str, ...] = ()
    target: str | None = None
    """The column that is learnt, of a task on tables."""
    time: str | None = None
    """The column that says when a row came about."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Which column of a table says what, where its name does not tell: `label` to `fine_label`."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A source looks like a format."""

    why: str
    sure: bool = True
    """False: it may as well be something else."""


class Format(Protocol):
    """Registered under the entry-point group `everloop.formats`; made without arguments."""

    @property
    def name(self) -> str:
        """What people name it by."""

    def fits(self, sketch: Sketch, wanted: Wanted) -> Fit | None:
        """Whether a source looks like this format, and why; None when it does not."""

    def read(self, tree: Tree, wanted: Wanted) -> Iterator[Incoming]:
        """Everything that the source holds, one at a time.

        A bad row or picture is an `Incoming` with `problems`, or one whose `read` refuses; only
        what makes the whole source unusable raises `Refused`, and nothing else is raised.
        """


def wanted_by(task: Task, columns: Mapping[str, str] | None = None) -> Wanted:
    """What a task can use."""
    table = task if isinstance(task, TableTask) else None
    return Wanted(
        task.label_kind,
        task.modality,
        task.classes,
        None if table is None else table.target,
        None if table is None else table.time,
        columns or {},
    )
