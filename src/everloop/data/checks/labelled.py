"""Labels that cannot be right: outside the task, outside the picture, or against each other."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from everloop.data.checks.duplicates import Pair
from everloop.data.checks.finding import Finding, Item, present
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop.labels import Box, BoxesLabel, Label, decode, names_in

_LEAST_SIDE = 1.0
_SLACK = 1.0
"""Pixels by which a box may overshoot: tools round."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A sample with its standing label, as the checks see it."""

    sample: SampleId
    side: str
    label: str
    by: str
    size: tuple[int, int] | None
    """Width and height of the upright picture; None where it was not examined."""


def wrong_labels(rows: Sequence[Labelled], classes: Sequence[str]) -> Sequence[Finding]:
    """Labels outside the task, and boxes that no object can have."""
    outside: list[Item] = []
    zero: list[Item] = []
    beyond: list[Item] = []
    twice: list[Item] = []
    for row in rows:
        label = _decoded(row.label)
        unknown = sorted(set(names_in(label)) - set(classes)) if label and classes else []
        if label is None or unknown:
            told = ", ".join(unknown) or "not the text of a label"
            outside.append(Item(f"{told}, by {row.by}", (row.sample,)))
        if isinstance(label, BoxesLabel):
            zero += _items(row, [b for b in label.boxes if _is_empty(b)])
            beyond += _items(row, [b for b in label.boxes if row.size and _leaves(b, row.size)])
            again = [b for b, times in Counter(label.boxes).items() if times > 1]
            twice += _items(row, again)
    return present(
        Finding(
            "label-outside-task", "mend", "labels that are none of the task's",
            f"the task knows {', '.join(classes)}; such a sample is in no snapshot",
            tuple(outside),
        ),
        Finding(
            "zero-size-box", "mend", "boxes without an area",
            f"narrower or lower than {_LEAST_SIDE:g} pixel", tuple(zero),
        ),
        Finding(
            "box-outside-image", "mend", "boxes that leave their picture",
            f"by more than {_SLACK:g} pixel of the upright picture", tuple(beyond),
        ),
        Finding(
            "box-twice", "look", "boxes drawn twice", "the same class and edges", tuple(twice),
        ),
    )  # fmt: skip


def contradictions(rows: Sequence[Labelled], pairs: Sequence[Pair]) -> Sequence[Finding]:
    """Near duplicates, as pairs of rows of `rows`, of which different things are said."""
    items = [
        Item(f"{first.label!r} and {second.label!r}", (first.sample, second.sample))
        for first, second in ((rows[pair.first], rows[pair.second]) for pair in pairs)
        if first.label != second.label and not first.label.startswith("{")
    ]
    why = "practically the same picture under two labels: at least one of them is wrong"
    return present(Finding("contradiction", "mend", "one picture, two labels", why, tuple(items)))


def sizes_of(
    samples: Sequence[SampleId], wide: Sequence[int], high: Sequence[int], turned: Sequence[int]
) -> Mapping[SampleId, tuple[int, int]]:
    """Upright sizes by sample, from stored sizes and EXIF orientations."""
    return {
        sample: (h, w) if orientation >= 5 else (w, h)
        for sample, w, h, orientation in zip(samples, wide, high, turned, strict=True)
    }


def _decoded(text: str) -> Label | None:
    try:
        return decode(text)
    except Refused:
        return None


def _items(row: Labelled, boxes: Sequence[Box]) -> list[Item]:
    return [
        Item(f"{b.label} {b.left:g}, {b.top:g}, {b.right:g}, {b.bottom:g}", (row.sample,))
        for b in boxes
    ]


def _is_empty(box: Box) -> bool:
    return box.right - box.left < _LEAST_SIDE or box.bottom - box.top < _LEAST_SIDE


def _leaves(box: Box, size: tuple[int, int]) -> bool:
    return (
        min(box.left, box.top) < -_SLACK
        or box.right > size[0] + _SLACK
        or box.bottom > size[1] + _SLACK
    )
