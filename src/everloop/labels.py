"""What an annotation can say of a sample, and the one text that stands for it in the stores."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from everloop.errors import Refused
from everloop_runtime.ids import canonical_json

LabelKind: TypeAlias = Literal["class", "classes", "boxes", "value"]
"""Which of the four kinds of label a task learns from."""


@dataclass(frozen=True, slots=True)
class ClassLabel:
    """The sample is of one class."""

    name: str


@dataclass(frozen=True, slots=True)
class ClassesLabel:
    """The sample is of any number of classes, none included; sorted, each once."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """One object. Edges in pixels of the upright image; its upper left corner is 0, 0."""

    label: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class BoxesLabel:
    """The objects that the sample shows, all of them; none is a statement too."""

    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class ValueLabel:
    """The sample's target figure."""

    value: float


Label: TypeAlias = ClassLabel | ClassesLabel | BoxesLabel | ValueLabel

_EDGES = ("left", "top", "right", "bottom")


def kind_of(label: Label) -> LabelKind:
    """Which kind of label this is.

    >>> kind_of(ClassLabel("cat"))
    'class'
    """
    match label:
        case ClassLabel():
            return "class"
        case ClassesLabel():
            return "classes"
        case BoxesLabel():
            return "boxes"
        case ValueLabel():
            return "value"


def names_in(label: Label) -> tuple[str, ...]:
    """The class names that a label uses, once for each use."""
    match label:
        case ClassLabel(name):
            return (name,)
        case ClassesLabel(names):
            return names
        case BoxesLabel(boxes):
            return tuple(box.label for box in boxes)
        case ValueLabel():
            return ()


def scaled(label: BoxesLabel, across: float, down: float) -> BoxesLabel:
    """Boxes in pixels of another size of the same picture.

    >>> scaled(BoxesLabel((Box("cell", 1, 2, 3, 4),)), 2.0, 3.0).boxes[0].bottom
    12.0
    """
    return BoxesLabel(
        tuple(
            Box(b.label, b.left * across, b.top * down, b.right * across, b.bottom * down)
            for b in label.boxes
        )
    )


def encode(label: Label) -> str:
    """The text of a label: a class's own name, or canonical JSON for everything else.

    Equal labels give equal texts: class names and boxes are sorted. Raises `Refused` for figures
    that are not finite.

    >>> encode(ClassLabel("cat"))
    'cat'
    >>> encode(ClassesLabel(("dog", "cat")))
    '{"classes":["cat","dog"]}'
    """
    match label:
        case ClassLabel(name):
            return _text({"class": name}) if name.startswith("{") else name
        case ClassesLabel(names):
            return _text({"classes": sorted(set(names))})
        case BoxesLabel(boxes):
            return _text({"boxes": sorted(_row(box) for box in boxes)})
        case ValueLabel(value):
            return _text({"value": _finite(value)})


def decode(text: str) -> Label:
    """The label that a text stands for; `Refused` when it stands for none.

    >>> decode('{"boxes":[["cell",1.0,2.0,3.5,4.0]]}').boxes[0].right
    3.5
    """
    if not text.startswith("{"):
        return ClassLabel(text)
    try:
        told: Mapping[str, Any] = json.loads(text)
        return _decoded(told)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Refused(f"{text[:80]!r} is not the text of a label: {error}") from error


def _decoded(told: Mapping[str, Any]) -> Label:
    if "class" in told:
        return ClassLabel(str(told["class"]))
    if "classes" in told:
        return ClassesLabel(tuple(str(name) for name in told["classes"]))
    if "boxes" in told:
        rows = told["boxes"]
        return BoxesLabel(tuple(Box(str(row[0]), *map(float, row[1:5])) for row in rows))
    return ValueLabel(_finite(float(told["value"])))


def _row(box: Box) -> list[Any]:
    return [box.label, *(_finite(float(getattr(box, edge))) for edge in _EDGES)]


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Refused(f"a label's figures are finite; got {value}")
    return value


def _text(value: Mapping[str, Any]) -> str:
    return canonical_json(dict(value)).decode()
