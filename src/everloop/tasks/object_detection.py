"""Boxes around objects in images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.labels import LabelKind
from everloop.tasks.detection_resampled import resampled_boxes
from everloop.tasks.detection_scores import METRICS, box_targets, coco_metrics, image_f1
from everloop.tasks.images import ImageTask
from everloop.tasks.task import Resampled, Targets, Widget
from everloop_runtime.answers.boxes import Boxes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SCORE, _MOST, _LEAST, _OVERLAP, _SHOWN = 4, 100, 0.05, 0.5, 0.25


@dataclass(frozen=True, init=False)
class ObjectDetection(ImageTask):
    """Images with every object of `classes` boxed; 640 x 640 unless said.

    Values are boxes `[N, 100, 6]`: left, top, right, bottom as shares of the picture's sides, score
    and class; rows of zeros follow the last. Targets are one array `[boxes, 5]` an image: class and
    the four edges, as shares too.
    """

    kind: ClassVar[str] = "object-detection"
    label_kind: ClassVar[LabelKind] = "boxes"
    usual_size: ClassVar[tuple[int, int]] = (640, 640)
    quality: ClassVar[str] = "image_f1"
    widget: ClassVar[Widget] = "boxes"

    def answer(self) -> Mapping[str, Any]:
        """Boxes with a class and a score."""
        settings = {"most": _MOST, "least": _LEAST, "overlap": _OVERLAP, "shown": _SHOWN}
        return {"kind": Boxes.name, **settings}

    def targets(self, labels: Sequence[str]) -> "list[NDArray[np.float32]]":
        """One array `[boxes, 5]` an image, from labels whose edges are shares of its sides."""
        return box_targets(labels, self.classes)

    def score(self, values: "NDArray[np.float32]", targets: Targets) -> Mapping[str, float]:
        """`mean_average_precision` (over overlaps of 0.5 to 0.95), `map_50`, `map_75` and
        `mean_average_recall` (100 boxes) as pycocotools has them, and `image_f1`: the mean over
        images of the F1 of what is shown (a score of 0.25 or more, an overlap of one half).
        """
        import numpy as np

        if not np.isfinite(values).all():
            return dict.fromkeys(METRICS, float("nan"))
        f1 = float(image_f1(values, targets, _SHOWN).mean())
        figures = (*coco_metrics(values, targets, len(self.classes)), f1)
        return dict(zip(METRICS, figures, strict=True))

    def resample(self, values: "NDArray[np.float32]", targets: Targets) -> Resampled:
        """The metrics of `score`, for resamples of the images."""
        return resampled_boxes(values, targets, len(self.classes), _SHOWN)

    def qualities(self, values: "NDArray[np.float32]", targets: Targets) -> "NDArray[np.float64]":
        """The F1 of each image, `[N]`; 1 where there is nothing and nothing is shown."""
        return image_f1(values, targets, _SHOWN)

    def confidences(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """The score of the surest box, `[N]`; 0 where there is none."""
        sure: NDArray[np.float64] = values[:, :, _SCORE].max(axis=1).astype("float64")
        return sure

    def unsureness(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """How near the least decided box is to a coin's toss, `[N]`."""
        import numpy as np

        scores = values[:, :, _SCORE].astype(np.float64)
        toss: NDArray[np.float64] = np.where(scores > 0, 1 - np.abs(2 * scores - 1), 0).max(axis=1)
        return toss

    def drift_features(self, values: "NDArray[np.float32]") -> "Mapping[str, NDArray[np.float32]]":
        """How many boxes are shown, their mean score, and their mean share of the picture."""
        import numpy as np

        shown = values[:, :, _SCORE] >= _SHOWN
        count = np.maximum(shown.sum(axis=1), 1)
        area = (values[:, :, 2] - values[:, :, 0]) * (values[:, :, 3] - values[:, :, 1])
        return {
            "boxes": shown.sum(axis=1).astype(np.float32),
            "mean score": ((values[:, :, _SCORE] * shown).sum(axis=1) / count).astype(np.float32),
            "mean area": ((area * shown).sum(axis=1) / count).astype(np.float32),
        }
