"""Rows of a table, and one column of it that is learnt: a figure, or a class."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.errors import Refused
from everloop.ids import Json
from everloop.labels import Label, LabelKind, ValueLabel, decode
from everloop.tasks.columns import learn_columns
from everloop.tasks.names import class_names, why_not
from everloop.tasks.one_class import OneClass, class_indices
from everloop.tasks.resampled import DRAWS, mean_of
from everloop.tasks.task import Modality, Resampled, Targets, Widget
from everloop_runtime.answers.figure import Figure
from everloop_runtime.rows import RowSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, init=False)
class TabularRegression:
    """The figure in the column `target`, from the columns `features`.

    `time` names the column that says when a row came about. Values are figures `[N, 1]`, targets
    figures `[N]`.
    """

    kind: ClassVar[str] = "tabular-regression"
    modality: ClassVar[Modality] = "row"
    label_kind: ClassVar[LabelKind] = "value"
    quality: ClassVar[str] = "neg_mean_absolute_error"
    widget: ClassVar[Widget] = "figure"
    target: str
    features: tuple[str, ...]
    time: str | None

    def __init__(self, target: str, features: Sequence[str], time: str | None = None) -> None:
        """`Refused` when the columns do not do."""
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "features", _columns(target, features))
        object.__setattr__(self, "time", time)

    @property
    def classes(self) -> tuple[str, ...]:
        """None: labels are figures."""
        return ()

    def accepts(self, label: Label) -> str | None:
        """Why a label is none of this task's; None when it is one."""
        return why_not(label, self.label_kind, self.classes)

    def declaration(self) -> Mapping[str, Json]:
        """The task as JSON."""
        return {
            "kind": self.kind,
            "target": self.target,
            "features": list(self.features),
            "time": self.time,
        }

    def input_of(self, samples: Callable[[], Iterable[bytes]]) -> RowSpec:
        """The features, each a figure or a category by what the training side has in it."""
        return learn_columns(self.features, samples())

    def answer(self) -> Mapping[str, Any]:
        """A figure."""
        return {"kind": Figure.name}

    def targets(self, labels: Sequence[str]) -> "NDArray[Any]":
        """The figures, `[N]`; `Refused` for a label that is none."""
        import numpy as np

        found = [decode(text) for text in labels]
        if not all(isinstance(label, ValueLabel) for label in found):
            raise Refused("the labels are not all figures")
        return np.array([label.value for label in found if isinstance(label, ValueLabel)])

    def score(self, values: "NDArray[np.float32]", targets: Targets) -> Mapping[str, float]:
        """`mean_absolute_error`, `root_mean_squared_error`, `r2` and
        `root_mean_squared_log_error` (NaN where a figure is negative) as scikit-learn defines
        them, and `neg_mean_absolute_error`, the first with its sign turned: more is better.
        """
        import numpy as np
        from sklearn import metrics

        names = ("mean_absolute_error", "root_mean_squared_error", "r2",
                 "root_mean_squared_log_error", "neg_mean_absolute_error")  # fmt: skip
        given = values.reshape(len(values)).astype(np.float64)
        if not np.isfinite(given).all():
            return dict.fromkeys(names, float("nan"))
        apart = metrics.mean_absolute_error(targets, given)
        logs = float("nan")
        if min(given.min(), np.min(targets)) >= 0:
            logs = metrics.root_mean_squared_log_error(targets, given)
        squared = metrics.root_mean_squared_error(targets, given)
        figures = (apart, squared, metrics.r2_score(targets, given), logs, -apart)
        return {name: float(figure) for name, figure in zip(names, figures, strict=True)}

    def resample(self, values: "NDArray[np.float32]", targets: Targets) -> Resampled:
        """The metrics of `score`, for resamples."""
        import numpy as np

        given = values.reshape(len(values)).astype(np.float64)
        true = np.asarray(targets, np.float64)
        off, squares = np.abs(given - true), (given - true) ** 2
        # About the mean: squares of figures far from zero would leave no digits for the spread.
        spread = true - true.mean()
        logs = np.full(len(true), np.nan)
        if min(given.min(), true.min()) >= 0:
            logs = (np.log1p(given) - np.log1p(true)) ** 2

        def metrics(weights: "NDArray[np.float64]") -> "Mapping[str, NDArray[np.float64]]":
            apart, squared = mean_of(weights, off), mean_of(weights, squares)
            varied = mean_of(weights, spread**2) - mean_of(weights, spread) ** 2
            unexplained = np.divide(
                squared, varied, out=np.full(len(squared), np.nan), where=varied > 0
            )
            return {
                "mean_absolute_error": apart,
                "root_mean_squared_error": np.sqrt(squared),
                "r2": 1 - unexplained,
                "root_mean_squared_log_error": np.sqrt(mean_of(weights, logs)),
                "neg_mean_absolute_error": -apart,
            }

        return Resampled(DRAWS, metrics)

    def qualities(self, values: "NDArray[np.float32]", targets: Targets) -> "NDArray[np.float64]":
        """The absolute errors with their sign turned, `[N]`."""
        import numpy as np

        off: NDArray[np.float64] = -np.abs(values.reshape(len(values)).astype(np.float64) - targets)
        return off

    def confidences(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """NaN, `[N]`: a figure comes without one."""
        import numpy as np

        return np.full(len(values), np.nan)

    def unsureness(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """0, `[N]`: all are alike, so that what is unlike the others is asked for."""
        import numpy as np

        return np.zeros(len(values))

    def drift_features(self, values: "NDArray[np.float32]") -> "Mapping[str, NDArray[np.float32]]":
        """The figure."""
        return {"value": values.reshape(len(values))}


@dataclass(frozen=True, init=False)
class TabularClassification(OneClass, TabularRegression):
    """The class in the column `target`, one of `classes`, from the columns `features`."""

    kind: ClassVar[str] = "tabular-classification"
    names: tuple[str, ...]

    def __init__(
        self,
        target: str,
        classes: str | Sequence[str],
        features: Sequence[str],
        time: str | None = None,
    ) -> None:
        """`Refused` when the classes or the columns do not do."""
        super().__init__(target, features, time)
        object.__setattr__(self, "names", class_names(classes, 2))

    @property
    def classes(self) -> tuple[str, ...]:
        """What the target may be."""
        return self.names

    def targets(self, labels: Sequence[str]) -> "NDArray[np.int64]":
        """Class indices, `[N]`; `Refused` for a label that is no class."""
        return class_indices(labels, self.classes)

    def declaration(self) -> Mapping[str, Json]:
        """The task as JSON."""
        return {**super().declaration(), "classes": list(self.names)}


def _columns(target: str, features: Sequence[str]) -> tuple[str, ...]:
    names = tuple(str(name) for name in features)
    if not target or not names or not all(names) or len(set(names)) != len(names):
        raise Refused(f"a target and at least one feature, each once, are wanted; got {names}")
    if target in names:
        raise Refused(f"the target {target!r} is among the features: nothing would be learnt")
    return names
