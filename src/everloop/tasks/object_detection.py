"""Boxes around objects in images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from everloop.ids import Json
from everloop.labels import Label, LabelKind
from everloop.tasks.names import class_names, image_size, why_not
from everloop.tasks.task import Modality


@dataclass(frozen=True, init=False)
class ObjectDetection:
    """Images of `size` (height, width) and `channels`, with every object of `classes` boxed."""

    kind: ClassVar[str] = "object-detection"
    modality: ClassVar[Modality] = "image"
    label_kind: ClassVar[LabelKind] = "boxes"
    classes: tuple[str, ...]
    size: tuple[int, int]
    channels: int

    def __init__(
        self, classes: str | Sequence[str], size: Sequence[int] = (640, 640), channels: int = 3
    ) -> None:
        """`Refused` when the classes or the size do not do."""
        object.__setattr__(self, "classes", class_names(classes, 1))
        object.__setattr__(self, "size", image_size(size, channels))
        object.__setattr__(self, "channels", channels)

    def accepts(self, label: Label) -> str | None:
        """Why a label is none of this task's; None when it is one."""
        return why_not(label, self.label_kind, self.classes)

    def declaration(self) -> Mapping[str, Json]:
        """The task as JSON."""
        return {
            "kind": self.kind,
            "classes": list(self.classes),
            "size": list(self.size),
            "channels": self.channels,
        }
