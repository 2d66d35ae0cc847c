"""Visual search: the images that are most like an image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.errors import Refused
from everloop.ids import Json
from everloop.labels import LabelKind
from everloop.tasks.images import ImageTask
from everloop.tasks.one_class import class_indices
from everloop.tasks.resampled import DRAWS, mean_of
from everloop.tasks.task import Resampled, Targets, Widget
from everloop_runtime.answers.hits import Hits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CLASS, _SIMILARITY = 0, 1
_FIVE, _MOST = 5, 1000


@dataclass(frozen=True, init=False)
class ImageRetrieval(ImageTask):
    """Images of any of `classes`: two are alike when they are of one class.

    A model embeds images; its bundle carries an index of the training side, embedded by the same
    model, and answers with the `most` nearest. Values are hits `[N, most, 3]` (class, similarity,
    row of the index), targets class indices `[N]`.
    """

    kind: ClassVar[str] = "image-retrieval"
    label_kind: ClassVar[LabelKind] = "class"
    least_classes: ClassVar[int] = 2
    quality: ClassVar[str] = "recall_at_1"
    widget: ClassVar[Widget] = "one-of"
    most: int

    def __init__(
        self,
        classes: str | Sequence[str],
        size: Sequence[int] | None = None,
        channels: int = 3,
        most: int = 10,
    ) -> None:
        """`most`: hits an answer, 5 to 1,000. `Refused` when something does not do."""
        super().__init__(classes, size, channels)
        if not _FIVE <= most <= _MOST:
            raise Refused(f"an answer has {_FIVE} to {_MOST} hits; got {most}")
        object.__setattr__(self, "most", most)

    def declaration(self) -> Mapping[str, Json]:
        """The task as JSON."""
        return {**super().declaration(), "most": self.most}

    def answer(self) -> Mapping[str, Any]:
        """The nearest samples of the index."""
        return {"kind": Hits.name, "most": self.most}

    def targets(self, labels: Sequence[str]) -> "NDArray[np.int64]":
        """Class indices, `[N]`; `Refused` for a label that is no class."""
        return class_indices(labels, self.classes)

    def score(self, values: "NDArray[np.float32]", targets: Targets) -> Mapping[str, float]:
        """`recall_at_1` and `recall_at_5`: the share of queries with a sample of their own class
        among the first 1 and 5 hits (Jegou et al. 2011, "Product Quantization"; torchmetrics'
        `RetrievalHitRate`), and `map_at_N`, mean average precision within the N hits (its
        `RetrievalMAP(top_k=N)`: a query without any right hit counts 0).
        """
        import numpy as np

        if not np.isfinite(values).all():
            return dict.fromkeys(_singly(np.zeros_like(values), targets), float("nan"))
        return {name: float(each.mean()) for name, each in _singly(values, targets).items()}

    def resample(self, values: "NDArray[np.float32]", targets: Targets) -> Resampled:
        """The metrics of `score`, for resamples of the queries."""
        singly = _singly(values, targets)
        return Resampled(
            DRAWS, lambda weights: {name: mean_of(weights, each) for name, each in singly.items()}
        )

    def qualities(self, values: "NDArray[np.float32]", targets: Targets) -> "NDArray[np.float64]":
        """1 where the nearest is of the query's class, `[N]`."""
        right: NDArray[np.float64] = (values[:, 0, _CLASS] == targets).astype("float64")
        return right

    def confidences(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """The similarity of the nearest, `[N]`."""
        near: NDArray[np.float64] = values[:, 0, _SIMILARITY].clip(0, 1).astype("float64")
        return near

    def unsureness(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """1 without the margin by which the nearest is nearer than any hit of another class."""
        import numpy as np

        other = values[:, :, _CLASS] != values[:, :1, _CLASS]
        nearest = np.where(other, values[:, :, _SIMILARITY], 0.0).max(axis=1)
        unsure: NDArray[np.float64] = (1.0 - (values[:, 0, _SIMILARITY] - nearest)).clip(0, 1)
        return unsure

    def drift_features(self, values: "NDArray[np.float32]") -> "Mapping[str, NDArray[np.float32]]":
        """How near the first and the last hit are, and how many are of the first's class."""
        same = values[:, :, _CLASS] == values[:, :1, _CLASS]
        return {
            "similarity of the first hit": values[:, 0, _SIMILARITY],
            "similarity of the last hit": values[:, -1, _SIMILARITY],
            "hits of the first one's class": same.mean(axis=1, dtype="float32"),
        }


def _singly(values: "NDArray[np.float32]", targets: Targets) -> "Mapping[str, NDArray[np.float64]]":
    """What each query adds to each metric, `[N]`."""
    import numpy as np

    right = values[:, :, _CLASS] == np.asarray(targets)[:, None]
    precisions = np.cumsum(right, axis=1) / np.arange(1, right.shape[1] + 1)
    average = (precisions * right).sum(axis=1) / np.maximum(right.sum(axis=1), 1)
    return {
        "recall_at_1": right[:, 0].astype(np.float64),
        "recall_at_5": right[:, :_FIVE].any(axis=1).astype(np.float64),
        f"map_at_{values.shape[1]}": average,
    }
