"""Any number of classes for each image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.labels import LabelKind, decode, names_in
from everloop.tasks.images import ImageTask
from everloop.tasks.resampled import (
    DRAWS,
    average_precision,
    f1_by_class,
    mean_of,
    mean_where,
    ratio,
)
from everloop.tasks.task import Resampled, Targets, Widget
from everloop_runtime.answers.multi_label import MultiLabel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LIMIT = 0.5


@dataclass(frozen=True, init=False)
class MultiLabelClassification(ImageTask):
    """Images, each of any number of `classes`; 224 x 224 unless said.

    Values are probabilities `[N, K]`, targets `[N, K]` of 0 and 1.
    """

    kind: ClassVar[str] = "multi-label-classification"
    label_kind: ClassVar[LabelKind] = "classes"
    quality: ClassVar[str] = "exact_match"
    widget: ClassVar[Widget] = "any-of"

    def answer(self) -> Mapping[str, Any]:
        """A probability for each class, on its own; a class from one half on."""
        return {"kind": MultiLabel.name, "limit": _LIMIT}

    def targets(self, labels: Sequence[str]) -> "NDArray[np.float32]":
        """1 where a sample is of the class, `[N, K]`."""
        import numpy as np

        index = {name: number for number, name in enumerate(self.classes)}
        hot = np.zeros((len(labels), len(self.classes)), np.float32)
        for row, text in enumerate(labels):
            hot[row, [index[name] for name in names_in(decode(text))]] = 1
        return hot

    def score(self, values: "NDArray[np.float32]", targets: Targets) -> Mapping[str, float]:
        """`micro_f1`, `macro_f1`, `exact_match` (subset accuracy), `hamming_loss`,
        `mean_average_precision` (the mean over classes that occur) and `log_loss`, each as
        scikit-learn defines it. Answers that are not numbers give NaN.
        """
        import numpy as np
        from sklearn import metrics

        names = (
            "micro_f1",
            "macro_f1",
            "exact_match",
            "hamming_loss",
            "mean_average_precision",
            "log_loss",
        )
        if not np.isfinite(values).all():
            return dict.fromkeys(names, float("nan"))
        truth, answers = targets.astype(int), (values >= _LIMIT).astype(int)
        seen = truth.any(axis=0)
        losses = -np.log(np.clip(np.where(truth, values, 1 - values), 1e-7, 1))
        average = metrics.average_precision_score(truth[:, seen], values[:, seen])
        figures = (
            metrics.f1_score(truth, answers, average="micro", zero_division=0),
            metrics.f1_score(truth[:, seen], answers[:, seen], average="macro", zero_division=0),
            metrics.accuracy_score(truth, answers),
            metrics.hamming_loss(truth, answers),
            average if seen.any() else float("nan"),
            losses.mean(),
        )
        return {name: float(figure) for name, figure in zip(names, figures, strict=True)}

    def resample(self, values: "NDArray[np.float32]", targets: Targets) -> Resampled:
        """The metrics of `score`, for resamples."""
        import numpy as np

        truth, given = targets > 0, values >= _LIMIT
        exact = (truth == given).all(axis=1).astype(np.float64)
        off = (truth != given).mean(axis=1, dtype=np.float64)
        losses = -np.log(np.clip(np.where(truth, values, 1 - values), 1e-7, 1))
        loss = losses.mean(axis=1, dtype=np.float64)
        both, either = (truth & given).sum(axis=1), truth.sum(axis=1) + given.sum(axis=1)

        def metrics(weights: "NDArray[np.float64]") -> "Mapping[str, NDArray[np.float64]]":
            f1, seen = f1_by_class(weights, truth, given)
            averages = np.stack(
                [average_precision(weights, t, v) for t, v in zip(truth.T, values.T, strict=True)],
                axis=1,
            )
            return {
                "micro_f1": ratio(2.0 * (weights @ both), weights @ either),
                "macro_f1": mean_where(f1, seen),
                "exact_match": mean_of(weights, exact),
                "hamming_loss": mean_of(weights, off),
                "mean_average_precision": mean_where(averages, seen),
                "log_loss": mean_of(weights, loss),
            }

        return Resampled(DRAWS, metrics)

    def qualities(self, values: "NDArray[np.float32]", targets: Targets) -> "NDArray[np.float64]":
        """1 where all classes of a sample are right, `[N]`."""
        right: NDArray[np.float64] = ((values >= _LIMIT) == (targets > 0)).all(axis=1) * 1.0
        return right

    def confidences(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """That of the least sure decision, `[N]`."""
        import numpy as np

        least: NDArray[np.float64] = np.maximum(values, 1 - values).min(axis=1).astype(np.float64)
        return least

    def unsureness(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """How near the least sure decision is to a coin's, `[N]`."""
        return 2 * (1 - self.confidences(values))

    def drift_features(self, values: "NDArray[np.float32]") -> "Mapping[str, NDArray[np.float32]]":
        """Each class's probability."""
        return {f"probability {column}": values[:, column] for column in range(values.shape[1])}
