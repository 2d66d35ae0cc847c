"""A labeller's desk: which key stands for which class, and a task as the page's script gets it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from everloop.labels import BoxesLabel, ClassesLabel, ClassLabel, ValueLabel, decode
from everloop.state.label_queue import LabelTask
from everloop.tasks.task import Widget

TAKEN = frozenset("uzsxhnpbg?/+-=0")
"""Keys that do something else: undo, skip, delete, help, zoom, brightness, and so on."""
_LETTERS = "123456789qwertyiopadfjklcvm"
SKIP_REASONS = ("cannot tell", "bad picture", "no class fits", "should not be shown")


@dataclass(frozen=True, slots=True)
class ClassKey:
    """A class and the key that stands for it."""

    name: str
    key: str
    """Empty where there are more classes than keys: it is chosen by mouse or by typing."""


class TaskShown(msgspec.Struct, frozen=True):
    """A task as the script gets it: no sample, no source, only what labellers may see."""

    id: str
    image: str
    suggestion: Any
    """In the form in which the widget answers; None without one."""
    confidence: float | None


class Answered(msgspec.Struct, forbid_unknown_fields=True):
    """What the script sends: a class, or another kind of label as an object."""

    label: str | dict[str, Any]


class Skipped(msgspec.Struct, forbid_unknown_fields=True):
    """Why a task is put aside."""

    reason: str


def keys_for(classes: Sequence[str]) -> tuple[ClassKey, ...]:
    """A key for each class: its own name where all are single digits, else 1 to 9, then letters.

    >>> [k.key for k in keys_for(["0", "1", "2"])], [k.key for k in keys_for(["cat", "dog"])]
    (['0', '1', '2'], ['1', '2'])
    """
    if all(len(name) == 1 and name.isascii() and name.isdigit() for name in classes):
        return tuple(ClassKey(name, name) for name in classes)
    free = [key for key in _LETTERS if key not in TAKEN]
    keys = [*free, *[""] * len(classes)]
    return tuple(ClassKey(name, key) for name, key in zip(classes, keys, strict=False))


def shown(task: LabelTask) -> TaskShown:
    """A task for the script."""
    confidence = task.suggestion_confidence
    offered = None if task.suggestion is None else offered_label(task.suggestion)
    return TaskShown(task.id, f"/label/{task.id}/image", offered, confidence)


def offered_label(text: str) -> Any:
    """A pre-label in the form in which the widget answers."""
    match decode(text):
        case ClassLabel(name):
            return name
        case ClassesLabel(names):
            return {"classes": list(names)}
        case ValueLabel(value):
            return {"value": value}
        case BoxesLabel(boxes):
            rows = [[b.label, b.left, b.top, b.right, b.bottom] for b in boxes]
            return {"boxes": rows}


def label_text(given: str | Mapping[str, Any]) -> str:
    """What the script sent as the text of a label, to be decoded and checked."""
    if isinstance(given, str):
        return given if not given.startswith("{") else json.dumps({"class": given})
    return json.dumps(given)


def outside(label: BoxesLabel, width: float, height: float) -> str | None:
    """Why a box is no box of a picture of this size; None when all are."""
    for box in label.boxes:
        across = 0 <= box.left < box.right <= width
        if not (across and 0 <= box.top < box.bottom <= height):
            edges = f"{box.left:g}, {box.top:g}, {box.right:g}, {box.bottom:g}"
            return f"the box {edges} is empty or leaves the picture of {width:g} x {height:g}"
    return None


@dataclass(frozen=True, slots=True)
class DeskView:
    """The page around the script."""

    widget: Widget | None
    classes: tuple[ClassKey, ...]
    open: int
    answered: int
    closed: str | None
    """Why nobody gets a task; None: tasks are given out."""
    empty: str
    """What to do when no task is there."""


def desk_view(
    widget: Widget | None,
    classes: Sequence[str],
    counts: Mapping[str, int],
    closed: str | None,
    level: int,
) -> DeskView:
    """The page's view, from how many tasks there are of each status."""
    if counts.get("uncleared"):
        empty = (
            f"{counts['uncleared']} tasks wait for the privacy filters; they come by themselves."
        )
    elif level < 2:
        empty = "The loop asks people at level 2; until then labels come from imports."
    else:
        empty = "Nothing to label. The loop asks when labels would help; see Loop for why it waits."
    done = counts.get("answered", 0) + counts.get("recorded", 0)
    return DeskView(widget, keys_for(classes), counts.get("open", 0), done, closed, empty)
