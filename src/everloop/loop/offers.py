"""What the live model says of a sample, as it is offered to people."""

from collections.abc import Mapping, Sequence

from everloop.data.owner import owner_only
from everloop.ids import Json, SampleId
from everloop.labelling.overlap import Row
from everloop.labels import BoxesLabel, decode, encode, scaled
from everloop.loop.project import Project
from everloop_runtime.errors import Refused
from everloop_runtime.images import upright_size


def in_pixels(project: Project, plan: Sequence[Row]) -> list[Json]:
    """A round's plan with boxes, which models tell as shares of the picture, in its pixels.

    Plans of other tasks stay as they are. What turns out to be no picture is offered without boxes.
    """
    if project.declaration.task.label_kind != "boxes":
        return [dict(row) for row in plan]
    names = list(dict.fromkeys(SampleId(str(r["sample"])) for r in plan if r["suggestion"]))
    # Their sizes only: nobody sees them.
    pictures = dict(zip(names, owner_only(project.data.samples, names), strict=True))
    return [{**row, "suggestion": _offered(project, row, pictures)} for row in plan]


def _offered(project: Project, row: Row, pictures: Mapping[SampleId, bytes]) -> str | None:
    told = row["suggestion"]
    boxes = decode(str(told)) if told else None
    if not isinstance(boxes, BoxesLabel):
        return None
    try:
        wide, high = upright_size(pictures[SampleId(str(row["sample"]))], project.limits)
    except Refused:
        return None
    return encode(scaled(boxes, wide, high))


def size_of(project: Project, sample: SampleId) -> tuple[int, int]:
    """Width and height of an upright original, in whose pixels boxes are kept; nobody sees it."""
    (original,) = owner_only(project.data.samples, [sample])
    return upright_size(original, project.limits)
