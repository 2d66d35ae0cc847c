"""What the tasks have in common whose answer is one class of several."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.errors import Refused
from everloop.labels import ClassLabel, LabelKind, decode
from everloop.tasks.resampled import DRAWS, f1_by_class, mean_of, mean_where
from everloop.tasks.task import Resampled, Targets, Widget
from everloop_runtime.answers.class_probabilities import ClassProbabilities

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BINS = 15


class OneClass:
    """Values are probabilities `[N, K]`, targets class indices `[N]`."""

    label_kind: ClassVar[LabelKind] = "class"
    quality: ClassVar[str] = "accuracy"
    widget: ClassVar[Widget] = "one-of"

    def answer(self) -> Mapping[str, Any]:
        """A probability for each class."""
        return {"kind": ClassProbabilities.name}

    def score(self, values: "NDArray[np.float32]", targets: Targets) -> Mapping[str, float]:
        """Metrics of answers `[N, K]` against class indices `[N]`.

        `accuracy`, `macro_f1` and `log_loss` as scikit-learn defines them, and
        `expected_calibration_error` over 15 equal-width bins of confidence (Guo et al. 2017, "On
        Calibration of Modern Neural Networks"). Answers that are not numbers give NaN.
        """
        import numpy as np
        from sklearn import metrics

        if not np.isfinite(values).all():
            nothing = float("nan")
            return dict.fromkeys(
                ("accuracy", "macro_f1", "log_loss", "expected_calibration_error"), nothing
            )
        answers = values.argmax(axis=1)
        exact = values.astype(np.float64)
        exact /= exact.sum(axis=1, keepdims=True)
        known = list(range(values.shape[1]))
        present = sorted(set(targets.tolist()))
        return {
            "accuracy": float(metrics.accuracy_score(targets, answers)),
            "macro_f1": float(
                metrics.f1_score(targets, answers, labels=present, average="macro", zero_division=0)
            ),
            "log_loss": float(metrics.log_loss(targets, exact, labels=known)),
            "expected_calibration_error": calibration_error(values, targets),
        }

    def resample(self, values: "NDArray[np.float32]", targets: Targets) -> Resampled:
        """The metrics of `score`, for resamples."""
        import numpy as np

        exact = values.astype(np.float64)
        exact /= exact.sum(axis=1, keepdims=True)
        rows, tiny = np.arange(len(values)), np.finfo(np.float64).eps
        answers = values.argmax(axis=1)
        right = (answers == targets).astype(np.float64)
        losses = -np.log(np.clip(exact[rows, targets], tiny, 1 - tiny))
        true, given = (np.zeros(values.shape, bool) for _ in range(2))
        true[rows, targets] = given[rows, answers] = True
        confidence, bins = _binned(values)
        # How far right answers are ahead of confidence, in the column of their bin.
        ahead = np.zeros((len(values), _BINS))
        ahead[rows, bins] = right - confidence

        def metrics(weights: "NDArray[np.float64]") -> "Mapping[str, NDArray[np.float64]]":
            f1, seen = f1_by_class(weights, true, given)
            return {
                "accuracy": mean_of(weights, right),
                "macro_f1": mean_where(f1, seen),
                "log_loss": mean_of(weights, losses),
                "expected_calibration_error": np.abs(weights @ ahead).sum(axis=1)
                / weights.sum(axis=1),
            }

        return Resampled(DRAWS, metrics)

    def qualities(self, values: "NDArray[np.float32]", targets: Targets) -> "NDArray[np.float64]":
        """1 where the answer is right, `[N]`."""
        right: NDArray[np.float64] = (values.argmax(axis=1) == targets).astype("float64")
        return right

    def confidences(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """The probability of the answer, `[N]`."""
        highest: NDArray[np.float64] = values.max(axis=1).astype("float64")
        return highest

    def unsureness(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """1 without the margin by which the best class is ahead of the second, `[N]`."""
        return 1.0 - margins(values).astype("float64")

    def drift_features(self, values: "NDArray[np.float32]") -> "Mapping[str, NDArray[np.float32]]":
        """Each class's probability."""
        return {f"softmax {column}": values[:, column] for column in range(values.shape[1])}


def class_indices(labels: Sequence[str], classes: Sequence[str]) -> "NDArray[np.int64]":
    """The place of each label's class among `classes`, `[N]`; `Refused` where it has none."""
    import numpy as np

    index = {name: number for number, name in enumerate(classes)}
    return np.array([_index(text, index) for text in labels], dtype=np.int64)


def _index(text: str, index: Mapping[str, int]) -> int:
    found = index.get(text)
    if found is not None:
        return found
    label = decode(text)
    if isinstance(label, ClassLabel) and label.name in index:
        return index[label.name]
    raise Refused(f"the label {text[:60]!r} is no class of the task")


def margins(probabilities: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """How far the best class is ahead of the second, `[n]`; small means unsure.

    >>> import numpy as np
    >>> margins(np.array([[0.5, 0.25, 0.25], [0.75, 0.25, 0.0]])).tolist()
    [0.25, 0.5]
    """
    import numpy as np

    ordered = np.sort(probabilities, axis=1)
    ahead: NDArray[np.float32] = ordered[:, -1] - ordered[:, -2]
    return ahead


def calibration_error(probabilities: "NDArray[np.float32]", labels: "NDArray[np.int64]") -> float:
    """The expected calibration error of answers `[N, K]` over 15 equal-width bins."""
    import numpy as np

    confidence, bins = _binned(probabilities)
    correct = probabilities.argmax(axis=1) == labels
    gaps = [
        abs(correct[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    ]
    return float(sum(gaps))


def _binned(
    probabilities: "NDArray[np.float32]",
) -> "tuple[NDArray[np.float64], NDArray[np.int64]]":
    """How sure each answer of `[N, K]` is, and the number of the bin that falls in, both `[N]`."""
    import numpy as np

    confidence = probabilities.max(axis=1).astype(np.float64)
    return confidence, np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
