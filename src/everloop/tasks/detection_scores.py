"""How well boxes fit the boxes that people drew."""

import contextlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from everloop.errors import Refused
from everloop.labels import BoxesLabel, decode
from everloop_runtime.answers.boxes import overlaps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

METRICS = ("mean_average_precision", "map_50", "map_75", "mean_average_recall", "image_f1")
"""What boxes are scored by: four figures of COCO, and the mean F1 of an image."""
_SCORE, _CLASS = 4, 5
_SAME = 0.5
_SIDE = 1000.0
"""COCO counts pixels: each picture is taken to have so many a side. Overlaps do not depend on it,
as both sides of a box are stretched alike; its sizes (small, large) do, and ask for `sizes`."""
_PARTS, _BY_SIZE = (0, 1, 2, 8), (3, 4, 5)
"""In COCO's summary: AP, AP at 0.5, AP at 0.75, AR with 100 boxes; AP by size."""


def box_targets(labels: Sequence[str], classes: Sequence[str]) -> "list[NDArray[np.float32]]":
    """One array `[boxes, 5]` an image: class, left, top, right, bottom."""
    import numpy as np

    numbers = {name: float(number) for number, name in enumerate(classes)}
    found = []
    for text in labels:
        label = decode(text)
        if not isinstance(label, BoxesLabel):
            raise Refused(f"the label {text[:60]!r} is not made of boxes")
        rows = [(numbers[b.label], b.left, b.top, b.right, b.bottom) for b in label.boxes]
        found.append(np.array(rows, np.float32).reshape(-1, 5))
    return found


def coco_metrics(
    values: "NDArray[np.float32]", targets: "Sequence[NDArray[np.float32]]", classes: int
) -> tuple[float, ...]:
    """AP, AP50, AP75 and AR100 of boxes `[N, most, 6]`, by pycocotools (Lin et al. 2014).

    Raises `Refused` where pycocotools is not installed.
    """
    judged = coco_judged(values, targets, classes)
    if judged is None:
        return (float("nan"),) * len(_PARTS)
    return tuple(float(judged.stats[part]) for part in _PARTS)


def coco_by_size(
    values: "NDArray[np.float32]",
    targets: "Sequence[NDArray[np.float32]]",
    classes: int,
    sizes: Sequence[tuple[int, int]],
) -> "dict[str, float]":
    """AP of small (below 32 x 32 pixels), medium and large (above 96 x 96) objects, as COCO has it.

    `sizes`: width and height of each upright picture. NaN for a size that no drawn box has.
    """
    judged = coco_judged(values, targets, classes, sizes)
    found = [-1.0] * 3 if judged is None else [float(judged.stats[part]) for part in _BY_SIZE]
    names = ("map_small", "map_medium", "map_large")
    # pycocotools says -1 of what there is none of.
    return {n: v if v >= 0 else float("nan") for n, v in zip(names, found, strict=True)}


def coco_by_class(
    values: "NDArray[np.float32]", targets: "Sequence[NDArray[np.float32]]", classes: Sequence[str]
) -> dict[str, float]:
    """AP at an overlap of one half of each class that was drawn, as `map_50[name]`."""
    judged = coco_judged(values, targets, len(classes))
    if judged is None:
        return {}
    # Overlaps, recalls, classes, sizes (the first: all), boxes an image (the last: 100).
    curves = judged.eval["precision"][0, :, :, 0, -1]
    found = zip(classes, curves.mean(axis=0).tolist(), strict=True)
    return {f"map_50[{name}]": value for name, value in found if value >= 0}


def coco_judged(
    values: "NDArray[np.float32]",
    targets: "Sequence[NDArray[np.float32]]",
    classes: int,
    sizes: Sequence[tuple[int, int]] | None = None,
) -> Any:
    """A `COCOeval` that has evaluated and summed up; None where no box was drawn.

    `sizes`: width and height of the pictures, where pixels matter. Raises `Refused` where
    pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        told = "boxes are measured by pycocotools: pip install 'everloop[detection]'"
        raise Refused(told) from error
    sides = sizes if sizes is not None else [(_SIDE, _SIDE)] * len(targets)
    truth = [
        _drawn(image, row, sides[image])
        for image, rows in enumerate(targets)
        for row in rows.tolist()
    ]
    given = [
        _drawn(image, [row[_CLASS], *row[:4]], sides[image], row[_SCORE])
        for image, rows in enumerate(values.tolist())
        for row in rows
        if row[_SCORE] > 0
    ]
    if not truth:
        return None
    about = {
        "images": [{"id": image + 1} for image in range(len(values))],
        "categories": [{"id": number + 1} for number in range(classes)],
        "annotations": [{**one, "id": number} for number, one in enumerate(truth, 1)],
    }
    # It prints as it goes.
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = about
        known.createIndex()
        judged = COCOeval(known, known.loadRes(given) if given else _nothing(COCO, about), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return judged


def _nothing(coco: Any, about: dict[str, Any]) -> Any:
    """Answers without a box, which `loadRes` does not take."""
    none = coco()
    none.dataset = {**about, "annotations": []}
    none.createIndex()
    return none


def _drawn(
    image: int, row: Sequence[float], sides: tuple[float, float], score: float | None = None
) -> dict[str, Any]:
    wide, high = sides
    number, left, top, right, bottom = (
        row[0], row[1] * wide, row[2] * high, row[3] * wide, row[4] * high
    )  # fmt: skip
    box = [left, top, right - left, bottom - top]
    told = {"image_id": image + 1, "category_id": int(number) + 1, "bbox": box}
    if score is not None:
        return {**told, "score": score}
    return {**told, "area": box[2] * box[3], "iscrowd": 0}


def image_f1(
    values: "NDArray[np.float32]", targets: "Sequence[NDArray[np.float32]]", shown: float
) -> "NDArray[np.float64]":
    """F1 of the boxes of each image with a score of at least `shown`, `[N]`.

    The surest box takes the drawn box of its class that it overlaps most, by one half or more.
    """
    import numpy as np

    pairs = zip(values, targets, strict=True)
    return np.array([_f1(g[g[:, _SCORE] >= shown], t) for g, t in pairs], np.float64)


def _f1(given: "NDArray[np.float32]", drawn: "NDArray[np.float32]") -> float:
    import numpy as np

    if not len(given) + len(drawn):
        return 1.0
    left, right = drawn, 0
    for box in given[np.argsort(-given[:, _SCORE], kind="stable")]:
        mine = np.where(left[:, 0] == box[_CLASS], overlaps(left[:, 1:], box), 0.0)
        if len(mine) and mine.max() >= _SAME:
            right += 1
            left = np.delete(left, int(mine.argmax()), axis=0)
    return 2 * right / (len(given) + len(drawn))
