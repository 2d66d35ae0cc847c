"""What the tasks on pictures have in common."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from everloop.ids import Json
from everloop.labels import Label, LabelKind
from everloop.tasks.names import class_names, image_size, why_not
from everloop.tasks.task import Modality
from everloop_runtime.images import ImageSpec


@dataclass(frozen=True, init=False)
class ImageTask:
    """Images of `size` (height, width) and `channels` (1 grey, 3 RGB), labelled by `classes`."""

    kind: ClassVar[str]
    label_kind: ClassVar[LabelKind]
    modality: ClassVar[Modality] = "image"
    least_classes: ClassVar[int] = 1
    usual_size: ClassVar[tuple[int, int]] = (224, 224)
    classes: tuple[str, ...]
    size: tuple[int, int]
    channels: int

    def __init__(
        self, classes: str | Sequence[str], size: Sequence[int] | None = None, channels: int = 3
    ) -> None:
        """A string of classes means one class a character. `Refused` when they do not do."""
        object.__setattr__(self, "classes", class_names(classes, self.least_classes))
        object.__setattr__(self, "size", image_size(size or self.usual_size, channels))
        object.__setattr__(self, "channels", channels)

    def input_of(
        self,
        samples: Callable[[], Iterable[bytes]],  # noqa: ARG002 - it is stated
    ) -> ImageSpec:
        """The pixels a model of this task takes."""
        return ImageSpec(self.size[0], self.size[1], self.channels)

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
