"""Any number of classes for each image."""

from dataclasses import dataclass
from typing import ClassVar

from everloop.labels import LabelKind
from everloop.tasks.images import ImageTask


@dataclass(frozen=True, init=False)
class MultiLabelClassification(ImageTask):
    """Images, each of any number of `classes`; 224 x 224 unless said."""

    kind: ClassVar[str] = "multi-label-classification"
    label_kind: ClassVar[LabelKind] = "classes"
