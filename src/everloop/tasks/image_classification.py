"""One class for each image."""

from dataclasses import dataclass
from typing import ClassVar

from everloop.tasks.images import ImageTask
from everloop.tasks.one_class import OneClass


@dataclass(frozen=True, init=False)
class ImageClassification(OneClass, ImageTask):
    """Images of `size` (height, width) and `channels` (1 grey, 3 RGB), each of one class."""

    kind: ClassVar[str] = "image-classification"
    least_classes: ClassVar[int] = 2
