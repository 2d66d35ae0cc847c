"""Rows of a table, and one column of it that is learnt: a figure, or a class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from everloop.errors import Refused
from everloop.ids import Json
from everloop.labels import Label, LabelKind
from everloop.tasks.names import class_names, why_not
from everloop.tasks.task import Modality


@dataclass(frozen=True, init=False)
class TabularRegression:
    """The figure in the column `target`, from the columns `features`.

    `time` names the column that says when a row came about.
    """

    kind: ClassVar[str] = "tabular-regression"
    modality: ClassVar[Modality] = "row"
    label_kind: ClassVar[LabelKind] = "value"
    classes: ClassVar[tuple[str, ...]] = ()
    target: str
    features: tuple[str, ...]
    time: str | None

    def __init__(self, target: str, features: Sequence[str], time: str | None = None) -> None:
        """`Refused` when the columns do not do."""
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "features", _columns(target, features))
        object.__setattr__(self, "time", time)

    def accepts(self, label: Label) -> str | None:
        """Why a label is none of this task's; None when it is one."""
        return why_not(label, self.label_kind, self.classes)

    def declaration(self) -> Mapping[str, Json]:
        """The task as JSON."""
        return {
            "kind": self.kind,
            "target": self.target,
            "features": list(self.features),
            "time": self.time,
        }


@dataclass(frozen=True, init=False)
class TabularClassification:
    """The class in the column `target`, one of `classes`, from the columns `features`.

    `time` names the column that says when a row came about.
    """

    kind: ClassVar[str] = "tabular-classification"
    modality: ClassVar[Modality] = "row"
    label_kind: ClassVar[LabelKind] = "class"
    target: str
    classes: tuple[str, ...]
    features: tuple[str, ...]
    time: str | None

    def __init__(
        self,
        target: str,
        classes: str | Sequence[str],
        features: Sequence[str],
        time: str | None = None,
    ) -> None:
        """`Refused` when the classes or the columns do not do."""
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "classes", class_names(classes, 2))
        object.__setattr__(self, "features", _columns(target, features))
        object.__setattr__(self, "time", time)

    def accepts(self, label: Label) -> str | None:
        """Why a label is none of this task's; None when it is one."""
        return why_not(label, self.label_kind, self.classes)

    def declaration(self) -> Mapping[str, Json]:
        """The task as JSON."""
        return {
            "kind": self.kind,
            "target": self.target,
            "classes": list(self.classes),
            "features": list(self.features),
            "time": self.time,
        }


def _columns(target: str, features: Sequence[str]) -> tuple[str, ...]:
    names = tuple(str(name) for name in features)
    if not target or not names or not all(names) or len(set(names)) != len(names):
        raise Refused(f"a target and at least one feature, each once, are wanted; got {names}")
    if target in names:
        raise Refused(f"the target {target!r} is among the features: nothing would be learnt")
    return names
