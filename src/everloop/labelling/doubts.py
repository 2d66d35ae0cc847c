"""Labels that a model's answers speak against, by the kind of label."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from everloop.data.splits import Side
from everloop.evaluation.evaluate import Evaluation
from everloop.ids import Json, SampleId
from everloop.labelling.confident import find_errors
from everloop.labels import ClassesLabel, ClassLabel, LabelKind, decode, encode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNSEEN = "the model has not learnt from these samples"
"""How answers on the hold-out came about."""
_POOR = 0.5
"""A drawing that shares fewer objects than this with the model's is told."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One label that is likely wrong."""

    sample: SampleId
    side: Side
    given: str
    """The label's text as it stood when the model was asked; of boxes, empty."""
    likely: str
    """The label that it looks like; empty where the model only says that it looks otherwise."""
    margin: float
    """The lower, the likelier it is wrong."""

    def as_json(self) -> dict[str, Json]:
        """All fields by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Doubts:
    """The likely label errors of one set of samples."""

    share: float | None
    """The estimated share of wrong labels; None where the kind of label allows no estimate."""
    rows: tuple[Doubt, ...]
    """The likeliest errors first."""


def doubts_of(evaluation: Evaluation, kind: LabelKind) -> Doubts:
    """The hold-out's likely label errors, by the answers of a bundle that never saw it.

    Classes: confident learning. Any number of classes: the same, class by class. Boxes: pictures
    whose drawn boxes and answered boxes hardly meet. Figures: none are told.
    """
    if kind == "boxes":
        return _of_boxes(evaluation)
    if kind == "class":
        return doubtful(
            evaluation.samples, evaluation.labels, evaluation.classes, evaluation.values, "holdout"
        )
    if kind == "classes":
        return _of_many(evaluation)
    return Doubts(None, ())


def doubtful(
    samples: Sequence[SampleId],
    labels: Sequence[str],
    classes: Sequence[str],
    values: "NDArray[np.floating]",
    side: Side,
) -> Doubts:
    """Likely errors among labels of one class each; `values`: probabilities `[N, K]`."""
    import numpy as np

    if values.ndim != 2 or values.shape[1] != len(classes):
        return Doubts(None, ())
    numbers = {name: number for number, name in enumerate(classes)}
    given = np.array([_number(text, numbers) for text in labels], dtype=np.intp)
    rows = np.flatnonzero((given >= 0) & np.isfinite(values).all(axis=1))
    if not len(rows):
        return Doubts(None, ())
    noise = find_errors(values[rows], given[rows])
    found = tuple(
        Doubt(
            samples[rows[s.row]],
            side,
            labels[rows[s.row]],
            encode(ClassLabel(classes[s.likely])),
            s.margin,
        )
        for s in noise.suspects
    )
    return Doubts(noise.share, found)


def _number(text: str, numbers: dict[str, int]) -> int:
    label = decode(text)
    return numbers.get(label.name, -1) if isinstance(label, ClassLabel) else -1


def _of_many(evaluation: Evaluation) -> Doubts:
    import numpy as np

    told = [decode(text) for text in evaluation.labels]
    named = [set(label.names) if isinstance(label, ClassesLabel) else set() for label in told]
    wrong: dict[int, tuple[set[str], float]] = {}
    for number, name in enumerate(evaluation.classes):
        there = evaluation.values[:, number].astype(np.float64)
        given = np.array([name in names for names in named], dtype=np.intp)
        for suspect in find_errors(np.stack([1 - there, there], axis=1), given).suspects:
            before, margin = wrong.get(suspect.row, (set(), 1.0))
            wrong[suspect.row] = before | {name}, min(margin, suspect.margin)
    rows = [
        Doubt(
            evaluation.samples[row],
            "holdout",
            evaluation.labels[row],
            encode(ClassesLabel(tuple(named[row] ^ names))),
            margin,
        )
        for row, (names, margin) in wrong.items()
    ]
    return Doubts(None, tuple(sorted(rows, key=lambda doubt: doubt.margin)))


def _of_boxes(evaluation: Evaluation) -> Doubts:
    poor = [n for n, quality in enumerate(evaluation.qualities) if quality < _POOR]
    rows = [
        # The evaluation has edges as shares of the picture, the stores have pixels.
        Doubt(evaluation.samples[n], "holdout", "", "", float(evaluation.qualities[n]))
        for n in poor
    ]
    return Doubts(None, tuple(sorted(rows, key=lambda doubt: doubt.margin)))
