"""One class for each image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from everloop.tasks.images import ImageTask
from everloop.tasks.one_class import OneClass, class_indices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, init=False)
class ImageClassification(OneClass, ImageTask):
    """Images of `size` (height, width) and `channels` (1 grey, 3 RGB), each of one class."""

    kind: ClassVar[str] = "image-classification"
    least_classes: ClassVar[int] = 2

    def targets(self, labels: Sequence[str]) -> "NDArray[np.int64]":
        """Class indices, `[N]`; `Refused` for a label that is no class."""
        return class_indices(labels, self.classes)
