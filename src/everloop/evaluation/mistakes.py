"""What is taken for what, and the answers that are furthest off."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.evaluation.evaluate import Evaluation
from everloop.labels import ClassesLabel, ClassLabel, decode
from everloop.tasks.detection_scores import box_targets
from everloop_runtime.answers.boxes import Boxes, overlaps
from everloop_runtime.answers.kind import AnswerKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MISSED, NOTHING = "(missed)", "(nothing there)"
_SCORE, _CLASS, _SAME = 4, 5, 0.5
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Taken:
    """How often what people called `truth` was answered `answer`."""

    truth: str
    answer: str
    count: int


def confusion(evaluation: Evaluation, kind: AnswerKind) -> tuple[Taken, ...]:
    """Every pair of truth and answer that occurs, the right ones too, the most frequent first.

    Of boxes: those that overlap by one half or more belong together, the surest first; what is left
    was missed, or is nothing. Of any number of classes: each class that was missed or said wrongly.
    Nothing where answers are figures.
    """
    counts: Counter[tuple[str, str]] = Counter()
    if isinstance(kind, Boxes):
        truths = box_targets(evaluation.labels, evaluation.classes)
        for given, drawn in zip(evaluation.values, truths, strict=True):
            counts.update(_boxes(given[given[:, _SCORE] >= kind.shown], drawn, kind.classes))
    else:
        told = kind.tell(evaluation.values)
        for text, answer in zip(evaluation.labels, told, strict=True):
            counts.update(_classes(text, answer.label))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST]
    return tuple(Taken(truth, answer, count) for (truth, answer), count in ordered)


def _classes(truth: str, answer: str) -> list[tuple[str, str]]:
    said, meant = decode(answer), decode(truth)
    if isinstance(meant, ClassLabel) and isinstance(said, ClassLabel):
        return [(meant.name, said.name)]
    if isinstance(meant, ClassesLabel) and isinstance(said, ClassesLabel):
        both = set(meant.names) & set(said.names)
        return [
            *((name, name) for name in both),
            *((name, MISSED) for name in set(meant.names) - both),
            *((NOTHING, name) for name in set(said.names) - both),
        ]
    return []


def _boxes(
    given: "NDArray[np.float32]", drawn: "NDArray[np.float32]", classes: Sequence[str]
) -> list[tuple[str, str]]:
    import numpy as np

    left, found = drawn, []
    for box in given[np.argsort(-given[:, _SCORE], kind="stable")]:
        answer = classes[int(box[_CLASS])]
        near = overlaps(left[:, 1:], box)
        # Of those it overlaps enough, one of its own class first.
        rank = np.where(near >= _SAME, near + (left[:, 0] == box[_CLASS]), 0.0)
        if not len(rank) or rank.max() <= 0:
            found.append((NOTHING, answer))
            continue
        best = int(rank.argmax())
        found.append((classes[int(left[best, 0])], answer))
        left = np.delete(left, best, axis=0)
    return found + [(classes[int(row[0])], MISSED) for row in left]


def worst(
    evaluation: Evaluation, confidences: "NDArray[np.float64]", count: int
) -> tuple[int, ...]:
    """The rows whose answers are furthest off: the surest of wrong ones first, and where all are
    right the least sure. Answers as good as the best are the last to be told."""
    import numpy as np

    sure = np.nan_to_num(confidences, nan=0.0)
    wrong = evaluation.qualities < np.nanmax(evaluation.qualities)
    order = np.lexsort((np.where(wrong, -sure, sure), evaluation.qualities))
    return tuple(int(row) for row in order[:count])
