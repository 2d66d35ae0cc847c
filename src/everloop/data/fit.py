"""A label fitted to the picture it is about: boxes in its pixels and within its edges."""

from dataclasses import replace
from typing import Literal, TypeAlias

from everloop.data.incoming import Incoming
from everloop.errors import Refused
from everloop.labels import Box, BoxesLabel, Label

OutOfImage: TypeAlias = Literal["refuse", "clip"]
_ROUNDED = 0.5
"""Pixels by which shares of a side may overshoot: tools write them with few digits."""
_DIGITS = 6
_MOST_TOLD = 5


def fit(incoming: Incoming, upright: tuple[int, int], rule: OutOfImage) -> Label | None:
    """The label of a picture that is `upright` (width, height) once turned, edges in pixels.

    Raises `Refused` naming each box that lies outside, unless the rule is to clip it, and when
    the source states another size than the picture has.
    """
    label = incoming.label
    if not isinstance(label, BoxesLabel) or not label.boxes:
        return label
    if incoming.size is not None and incoming.size != upright:
        raise Refused(
            f"its boxes are for {incoming.size[0]} x {incoming.size[1]}; "
            f"the upright picture is {upright[0]} x {upright[1]}"
        )
    boxes = [_in_pixels(box, upright) if incoming.unit == "share" else box for box in label.boxes]
    outside = [box for box in boxes if _is_outside(box, upright)]
    if outside and rule == "refuse":
        told = "; ".join(map(_told, outside[:_MOST_TOLD]))
        raise Refused(
            f"{len(outside)} boxes outside its {upright[0]} x {upright[1]}: {told}; "
            'out_of_image = "clip" in [data] cuts them'
        )
    return BoxesLabel(tuple(_clipped(box, upright) for box in boxes))


def in_shares(label: BoxesLabel, upright: tuple[int, int]) -> BoxesLabel:
    """Boxes in pixels of an upright picture of that width and height, as shares of its sides."""
    width, height = upright
    return BoxesLabel(
        tuple(
            replace(
                box,
                left=box.left / width,
                top=box.top / height,
                right=box.right / width,
                bottom=box.bottom / height,
            )
            for box in label.boxes
        )
    )


def _in_pixels(box: Box, size: tuple[int, int]) -> Box:
    width, height = size
    edges = (box.left * width, box.top * height, box.right * width, box.bottom * height)
    left, top, right, bottom = (round(edge, _DIGITS) + 0.0 for edge in edges)
    return replace(
        box,
        left=_snapped(left, width),
        top=_snapped(top, height),
        right=_snapped(right, width),
        bottom=_snapped(bottom, height),
    )


def _snapped(edge: float, side: int) -> float:
    if -_ROUNDED <= edge < 0:
        return 0.0
    return float(side) if side < edge <= side + _ROUNDED else edge


def _is_outside(box: Box, size: tuple[int, int]) -> bool:
    return box.left < 0 or box.top < 0 or box.right > size[0] or box.bottom > size[1]


def _clipped(box: Box, size: tuple[int, int]) -> Box:
    cut = replace(
        box,
        left=min(max(box.left, 0.0), float(size[0])),
        top=min(max(box.top, 0.0), float(size[1])),
        right=min(max(box.right, 0.0), float(size[0])),
        bottom=min(max(box.bottom, 0.0), float(size[1])),
    )
    if cut.right <= cut.left or cut.bottom <= cut.top:
        raise Refused(f"nothing is left of a box cut at the picture's edges: {_told(box)}")
    return cut


def _told(box: Box) -> str:
    return f"{box.label} {box.left:g}, {box.top:g}, {box.right:g}, {box.bottom:g}"
