"""Boxes around objects in images."""

from dataclasses import dataclass
from typing import ClassVar

from everloop.labels import LabelKind
from everloop.tasks.images import ImageTask


@dataclass(frozen=True, init=False)
class ObjectDetection(ImageTask):
    """Images with every object of `classes` boxed; 640 x 640 unless said."""

    kind: ClassVar[str] = "object-detection"
    label_kind: ClassVar[LabelKind] = "boxes"
    usual_size: ClassVar[tuple[int, int]] = (640, 640)
