"""COCO's figures for many resamples of the images.

Which box belongs to which is found once, by pycocotools, and does not change with the resample;
what changes is how often each image counts. So precision and recall are sums of weights along the
boxes in the order of their scores.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from everloop.tasks.detection_scores import METRICS, coco_judged, image_f1
from everloop.tasks.resampled import mean_of
from everloop.tasks.task import Resampled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DRAWS = 200
"""Fewer than elsewhere: each costs a pass over all boxes for every class and overlap."""
_HALF, _THREE_QUARTERS = 0, 5
"""Places of 0.5 and 0.75 among COCO's overlaps."""


class _Class(NamedTuple):
    """The boxes of one class, the surest first."""

    images: "NDArray[np.int64]"
    """The image that each is in, `[D]`."""
    right: "NDArray[np.bool_]"
    """Whether it is taken for a drawn box at each overlap, `[overlaps, D]`."""
    drawn: "NDArray[np.float64]"
    """How many boxes people drew in each image, `[N]`."""


def resampled_boxes(
    values: "NDArray[np.float32]",
    targets: "Sequence[NDArray[np.float32]]",
    classes: int,
    shown: float,
) -> Resampled:
    """`METRICS` of boxes `[N, most, 6]`, for resamples of the N images."""
    import numpy as np

    singly = image_f1(values, targets, shown)
    judged = coco_judged(values, targets, classes)
    parts = [] if judged is None else _parts(judged, len(values))
    recalls = np.zeros(0) if judged is None else judged.params.recThrs

    def metrics(weights: "NDArray[np.float64]") -> "Mapping[str, NDArray[np.float64]]":
        precision = np.full((len(parts), len(weights), 10), np.nan)
        recall = precision.copy()
        for number, part in enumerate(parts):
            for overlap in range(10):
                found = _curve(part, overlap, weights, recalls)
                precision[number, :, overlap], recall[number, :, overlap] = found
        # A class that a resample has none of is left out of its mean, as pycocotools does.
        there = np.isfinite(precision[:, :, 0])
        by_overlap = np.where(there[:, :, None], precision, 0).sum(0) / _count(there)
        reached = np.where(there[:, :, None], recall, 0).sum(0) / _count(there)
        figures = (
            by_overlap.mean(axis=1),
            by_overlap[:, _HALF],
            by_overlap[:, _THREE_QUARTERS],
            reached.mean(axis=1),
            mean_of(weights, singly),
        )
        return dict(zip(METRICS, figures, strict=True))

    return Resampled(_DRAWS, metrics)


def _count(there: "NDArray[np.bool_]") -> "NDArray[np.float64]":
    import numpy as np

    count = there.sum(axis=0).astype(np.float64)
    return np.where(count > 0, count, np.nan)[:, None]


def _parts(judged: Any, images: int) -> list[_Class]:
    """The classes that people drew boxes of, read from what `COCOeval` matched."""
    import numpy as np

    ranges = len(judged.params.areaRng)
    found = []
    for number in range(len(judged.params.catIds)):
        # Its list runs over classes, then sizes, then images; the first size is "all".
        start = number * ranges * images
        each = judged.evalImgs[start : start + images]
        drawn = np.array([0.0 if e is None else len(e["gtIds"]) for e in each])
        if not drawn.any():
            continue
        scores = [np.zeros(0) if e is None else np.asarray(e["dtScores"]) for e in each]
        right = [np.zeros((10, 0)) if e is None else e["dtMatches"].reshape(10, -1) for e in each]
        order = np.argsort(-np.concatenate(scores), kind="mergesort")
        owner = np.repeat(np.arange(images), [len(s) for s in scores])
        found.append(_Class(owner[order], np.concatenate(right, axis=1)[:, order] > 0, drawn))
    return found


def _curve(
    part: _Class, overlap: int, weights: "NDArray[np.float64]", recalls: "NDArray[np.float64]"
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Average precision over `recalls` and the recall reached, both `[B]`; NaN without a box."""
    import numpy as np

    drawn = weights @ part.drawn
    # A resample without a drawn box has no figure.
    given = weights[:, part.images]
    right = np.cumsum(given * part.right[overlap], axis=1)
    said = np.cumsum(given, axis=1)
    precision = np.divide(right, said, out=np.zeros_like(right), where=said > 0)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    average, reached = (np.full(len(weights), np.nan) for _ in range(2))
    for row in np.flatnonzero(drawn > 0):
        if not len(part.images):
            average[row] = reached[row] = 0.0
            continue
        recall = right[row] / drawn[row]
        at = np.searchsorted(recall, recalls, side="left")
        average[row] = np.append(best[row], 0.0)[at].mean()
        reached[row] = recall[-1]
    return average, reached
