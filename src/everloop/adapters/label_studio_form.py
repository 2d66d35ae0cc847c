"""Labels as Label Studio has them: its page for a task, pre-annotations, and results."""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from defusedxml.ElementTree import fromstring

from everloop.errors import Refused
from everloop.labels import Box, BoxesLabel, ClassesLabel, ClassLabel, Label, ValueLabel
from everloop.tasks.task import Widget

_NAME, _IMAGE = "label", "image"
_TAGS: Mapping[Widget, tuple[str, str]] = {
    "one-of": ("Choices", "Choice"),
    "any-of": ("Choices", "Choice"),
    "boxes": ("RectangleLabels", "Label"),
}
_HUNDRED = 100.0


def config(widget: Widget, classes: Sequence[str]) -> str:
    """The labelling configuration of a project."""
    image = f'<Image name="{_IMAGE}" value="${_IMAGE}" zoom="true"/>'
    if widget == "figure":
        return f'<View>{image}<Number name="{_NAME}" toName="{_IMAGE}" required="true"/></View>'
    tag, each = _TAGS[widget]
    more = {"one-of": ' choice="single" required="true"', "any-of": ' choice="multiple"'}
    rows = "".join(f"<{each} value={quoteattr(name)}/>" for name in classes)
    head = f'<{tag} name="{_NAME}" toName="{_IMAGE}"{more.get(widget, "")}>'
    return f"<View>{image}{head}{rows}</{tag}></View>"


def check_config(text: str, widget: Widget, classes: Sequence[str]) -> None:
    """Raise `Refused` where a project's page does not ask what this product asks."""
    wanted = fromstring(config(widget, classes))
    given = fromstring(text)
    if _asked(given) != _asked(wanted):
        raise Refused(
            "the Label Studio project asks something else than this product; give it this "
            f"labelling configuration, or name another project:\n{config(widget, classes)}"
        )


def _asked(view: Any) -> set[tuple[str, str, frozenset[str]]]:
    return {
        (tag.tag, str(tag.get("name")), frozenset(str(each.get("value")) for each in tag))
        for tag in view.iter()
        if tag.get("toName")
    }


def result_of(label: Label, width: int, height: int) -> list[dict[str, Any]]:
    """A label as a list of results; edges of boxes are shares of the picture's sides."""
    about = {"from_name": _NAME, "to_name": _IMAGE}
    match label:
        case ClassLabel(name):
            return [{**about, "type": "choices", "value": {"choices": [name]}}]
        case ClassesLabel(names):
            return [{**about, "type": "choices", "value": {"choices": list(names)}}]
        case ValueLabel(value):
            return [{**about, "type": "number", "value": {"number": value}}]
        case BoxesLabel(boxes):
            size = {"original_width": width, "original_height": height, "image_rotation": 0}
            return [
                {**about, **size, "type": "rectanglelabels", "value": _rectangle(box)}
                for box in boxes
            ]


def _rectangle(box: Box) -> dict[str, Any]:
    return {
        "x": _HUNDRED * box.left,
        "y": _HUNDRED * box.top,
        "width": _HUNDRED * (box.right - box.left),
        "height": _HUNDRED * (box.bottom - box.top),
        "rotation": 0,
        "rectanglelabels": [box.label],
    }


def label_of(results: Sequence[Any], widget: Widget) -> Label:
    """The label that results state; edges of boxes as shares. `Refused` when they state none."""
    values = [
        row["value"]
        for row in results
        if isinstance(row, dict)
        and row.get("from_name") == _NAME
        and isinstance(row.get("value"), dict)
    ]
    if widget == "boxes":
        return BoxesLabel(tuple(map(_box, values)))
    if widget == "figure":
        figures = [value["number"] for value in values if "number" in value]
        if len(figures) != 1:
            raise Refused(f"{len(figures)} figures were given; one is wanted")
        return ValueLabel(float(figures[0]))
    names = tuple(str(name) for value in values for name in value.get("choices", ()))
    if widget == "any-of":
        return ClassesLabel(tuple(sorted(set(names))))
    if len(names) != 1:
        raise Refused(f"{len(names)} classes were chosen; one is wanted")
    return ClassLabel(names[0])


def _box(value: Mapping[str, Any]) -> Box:
    names = value.get("rectanglelabels", ())
    if len(names) != 1:
        raise Refused(f"a rectangle has {len(names)} labels; one is wanted")
    if value.get("rotation"):
        raise Refused("a rectangle is turned; boxes are upright")
    left, top = float(value["x"]) / _HUNDRED, float(value["y"]) / _HUNDRED
    right = left + float(value["width"]) / _HUNDRED
    bottom = top + float(value["height"]) / _HUNDRED
    # Drawn with the mouse, edges lie a hair outside.
    edges = [min(1.0, max(0.0, edge)) for edge in (left, top, right, bottom)]
    if edges[0] >= edges[2] or edges[1] >= edges[3]:
        raise Refused("a rectangle is empty, or outside of the picture")
    return Box(str(names[0]), *edges)
