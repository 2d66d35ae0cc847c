"""One class for each image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from everloop.labels import LabelKind
from everloop.tasks.images import ImageTask
from everloop_runtime.images import ImageSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BINS = 15


@dataclass(frozen=True, init=False)
class ImageClassification(ImageTask):
    """Images of `size` (height, width) and `channels` (1 grey, 3 RGB), each of one class."""

    kind: ClassVar[str] = "image-classification"
    label_kind: ClassVar[LabelKind] = "class"
    least_classes: ClassVar[int] = 2

    def spec(self) -> ImageSpec:
        """The pixels a model of this task takes."""
        return ImageSpec(self.size[0], self.size[1], self.channels)

    def score(
        self, probabilities: "NDArray[np.float32]", labels: "NDArray[np.int64]"
    ) -> Mapping[str, float]:
        """Metrics of answers `[N, K]` against class indices `[N]`.

        `accuracy`, `macro_f1` and `log_loss` as scikit-learn defines them, and
        `expected_calibration_error` over 15 equal-width bins of confidence (Guo et al. 2017, "On
        Calibration of Modern Neural Networks"). Answers that are not numbers give NaN.
        """
        import numpy as np
        from sklearn import metrics

        if not np.isfinite(probabilities).all():
            nothing = float("nan")
            return dict.fromkeys(
                ("accuracy", "macro_f1", "log_loss", "expected_calibration_error"), nothing
            )
        answers = probabilities.argmax(axis=1)
        exact = probabilities.astype(np.float64)
        exact /= exact.sum(axis=1, keepdims=True)
        known = list(range(len(self.classes)))
        present = sorted(set(labels.tolist()))
        return {
            "accuracy": float(metrics.accuracy_score(labels, answers)),
            "macro_f1": float(
                metrics.f1_score(labels, answers, labels=present, average="macro", zero_division=0)
            ),
            "log_loss": float(metrics.log_loss(labels, exact, labels=known)),
            "expected_calibration_error": _calibration_error(probabilities, labels),
        }


def _calibration_error(probabilities: "NDArray[np.float32]", labels: "NDArray[np.int64]") -> float:
    import numpy as np

    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = [
        abs(correct[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    ]
    return float(sum(gaps))
