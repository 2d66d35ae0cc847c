"""Labels made of what annotation files state: boxes checked, kinds brought to the task's."""

import math
from collections.abc import Sequence
from typing import Any

from everloop.labels import Box, BoxesLabel, ClassesLabel, ClassLabel, Label, LabelKind

_DIGITS = 6
"""Edges are kept to a millionth of a pixel: sums of a corner and a width carry rounding errors."""
_SHARE_DIGITS = 12


def box(
    label: str, edges: Sequence[Any], *, corner_and_size: bool = False, share: bool = False
) -> Box | str:
    """A box of four figures as a file states them, or why it is none.

    `corner_and_size`: left, top, width, height; otherwise left, top, right, bottom.

    >>> box("cat", [1, 2, 3, 4], corner_and_size=True)
    Box(label='cat', left=1.0, top=2.0, right=4.0, bottom=6.0)
    >>> box("cat", [5, 5, 5, 9])
    'a box of no area: 5, 5, 5, 9'
    """
    figures = [_figure(edge) for edge in edges]
    told = ", ".join(str(edge)[:40] for edge in edges[:8])
    if len(figures) != 4 or any(figure is None for figure in figures):
        return f"a box is four figures; got {told or 'none'}"
    left, top, third, fourth = (figure for figure in figures if figure is not None)
    if not all(map(math.isfinite, (left, top, third, fourth))):
        return f"a box of figures that are not finite: {told}"
    right, bottom = (left + third, top + fourth) if corner_and_size else (third, fourth)
    digits = _SHARE_DIGITS if share else _DIGITS
    made = Box(label, *(round(edge, digits) + 0.0 for edge in (left, top, right, bottom)))
    if made.right < made.left or made.bottom < made.top:
        return f"a box of negative width or height: {told}"
    if made.right == made.left or made.bottom == made.top:
        return f"a box of no area: {told}"
    return made


def _figure(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def figure(text: str) -> float | str:
    """A figure written as text, or the text itself when it is none."""
    try:
        return float(text)
    except ValueError:
        return text


def of_boxes(boxes: Sequence[Box], kind: LabelKind) -> Label | str | None:
    """What boxes state, as the kind of label that is wanted; or why they cannot.

    None: nothing is stated.
    """
    if kind == "boxes":
        return BoxesLabel(tuple(boxes))
    return of_names([made.label for made in boxes], kind)


def of_names(names: Sequence[str], kind: LabelKind) -> Label | str | None:
    """What class names state, as the kind of label that is wanted; or why they cannot."""
    distinct = sorted(set(names))
    if kind == "classes":
        return ClassesLabel(tuple(distinct))
    if kind == "class":
        if len(distinct) > 1:
            return f"{len(distinct)} classes where one is wanted: {', '.join(distinct)[:200]}"
        return ClassLabel(distinct[0]) if distinct else None
    return f"class names where the task wants {'boxes' if kind == 'boxes' else 'a figure'}"
