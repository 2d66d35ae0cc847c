"""What answers hang on: columns of a row, places of a picture. Asks the bundle only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.data.training_data import SnapshotSide
from everloop.tasks.task import Learnable
from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.answers.multi_label import MultiLabel
from everloop_runtime.model import Model, Outputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_GRID = 7
_ROWS, _REPEATS = 2_000, 5


@dataclass(frozen=True, slots=True)
class Importance:
    """What a column is worth."""

    name: str
    loss: float
    """How much of the mean quality is lost when its values are dealt out anew."""
    spread: float
    """Standard deviation of that, over five deals."""


class _Asked:
    """The bundle as scikit-learn asks estimators."""

    def fit(self) -> None:
        """It has learnt already; scikit-learn looks whether it could."""


def importance(
    predict: "Callable[[NDArray[np.float32]], NDArray[np.float32]]",
    held: SnapshotSide,
    task: Learnable,
    rows: int = _ROWS,
) -> tuple[Importance, ...]:
    """Permutation importance of every column (Breiman 2001), as scikit-learn measures it, by the
    mean quality of answers to at most `rows` rows; the most important first.

    Columns that say the same share their worth: each looks needless while the other is there.
    """
    import numpy as np
    from sklearn.inspection import permutation_importance

    which = np.sort(np.random.default_rng(0).permutation(len(held))[:rows])

    def score(_model: object, given: Any, targets: Any) -> float:
        taken = np.asarray(given, np.float32)
        return float(task.qualities(predict(taken), targets).mean())

    found = permutation_importance(
        _Asked(),
        held.inputs[which],
        np.asarray(held.targets)[which],
        scoring=score,
        n_repeats=_REPEATS,
        random_state=0,
    )
    told = [
        Importance(name, float(mean), float(spread))
        for name, mean, spread in zip(
            held.features, found.importances_mean, found.importances_std, strict=True
        )
    ]
    return tuple(sorted(told, key=lambda one: (-one.loss, one.name)))


def occlusion_map(model: Model, pixels: "NDArray[np.uint8]") -> "NDArray[np.float64] | None":
    """How much each place of a picture `[H, W, C]` carries its answer, `[rows, columns]`, 0 to 1.

    One place after another is covered with the picture's mean colour and the answer's loss is noted
    (Zeiler and Fergus 2014): the probability of the class or classes that were answered, or, where
    answers are hits, how far the embedding moves. None where answers are boxes, and where nothing
    moves the answer.
    """
    import numpy as np

    if not isinstance(model.kind, ClassProbabilities | MultiLabel) and model.kind.name != "hits":
        return None
    rows, columns = (min(_GRID, side) for side in pixels.shape[:2])
    tops = np.linspace(0, pixels.shape[0], rows + 1).astype(int)
    lefts = np.linspace(0, pixels.shape[1], columns + 1).astype(int)
    covered = np.repeat(pixels[None], rows * columns, axis=0)
    mean = pixels.mean(axis=(0, 1)).astype(np.uint8)
    for place in range(rows * columns):
        row, column = divmod(place, columns)
        covered[place, tops[row] : tops[row + 1], lefts[column] : lefts[column + 1]] = mean
    whole, parts = model.predict(pixels[None]), model.predict(covered)
    lost = np.clip(_lost(model, whole, parts), 0, None).reshape(rows, columns)
    if not np.isfinite(lost).all() or not lost.max() > 0:
        return None
    heat: NDArray[np.float64] = lost / lost.max()
    return heat


def _lost(model: Model, whole: Outputs, parts: Outputs) -> "NDArray[np.float64]":
    import numpy as np

    if model.kind.name == "hits":
        lengths = np.linalg.norm(parts.embeddings, axis=1) * np.linalg.norm(whole.embeddings)
        near = (parts.embeddings @ whole.embeddings[0]) / np.maximum(lengths, 1e-12)
        moved: NDArray[np.float64] = 1.0 - near.astype(np.float64)
        return moved
    answered: Sequence[int] = [int(whole.values[0].argmax())]
    if isinstance(model.kind, MultiLabel):
        answered = np.flatnonzero(whole.values[0] >= 0.5).tolist() or answered
    apart = whole.values[0, answered] - parts.values[:, answered]
    lost: NDArray[np.float64] = apart.sum(axis=1, dtype=np.float64)
    return lost
