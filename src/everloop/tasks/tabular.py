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
    target: str
    features: tuple[str, ...]
    time: str | None

    def __init__(self, target: str, features: Sequence[str], time: str | None = None) -> None:
        """`Refused` when the columns do not do."""
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "features", _columns(target, features))
        object.__setattr__(self, "time", time)

    @property
    def classes(self) -> tuple[str, ...]:
        """None: labels are figures."""
        return ()

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
class TabularClassification(TabularRegression):
    """The class in the column `target`, one of `classes`, from the columns `features`."""

    kind: ClassVar[str] = "tabular-classification"
    label_kind: ClassVar[LabelKind] = "class"
    names: tuple[str, ...]

    def __init__(
        self,
        target: str,
        classes: str | Sequence[str],
        features: Sequence[str],
        time: str | None = None,
    ) -> None:
        """`Refused` when the classes or the columns do not do."""
        super().__init__(target, features, time)
        object.__setattr__(self, "names", class_names(classes, 2))

    @property
    def classes(self) -> tuple[str, ...]:
        """What the target may be."""
        return self.names

    def declaration(self) -> Mapping[str, Json]:
        """The task as JSON."""
        return {**super().declaration(), "classes": list(self.names)}


def _columns(target: str, features: Sequence[str]) -> tuple[str, ...]:
    names = tuple(str(name) for name in features)
    if not target or not names or not all(names) or len(set(names)) != len(names):
        raise Refused(f"a target and at least one feature, each once, are wanted; got {names}")
    if target in names:
        raise Refused(f"the target {target!r} is among the features: nothing would be learnt")
    return names
