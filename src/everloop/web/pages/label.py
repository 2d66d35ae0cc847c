"""The labelling desk: tasks are given out under a lease, answers are saved one by one.

Labellers get renditions only, and only those of tasks that were given to them.
"""

from collections.abc import Sequence
from dataclasses import replace

from everloop.data.renditions import RenditionFacts
from everloop.errors import Conflict, Refused
from everloop.ids import LabelTaskId
from everloop.labels import BoxesLabel, decode, encode, scaled
from everloop.loop.offers import size_of
from everloop.state.label_queue import LabelTask
from everloop.web.asked import Answer, Asked, nothing_there, told
from everloop.web.drawing import page
from everloop.web.views.label import (
    SKIP_REASONS,
    Answered,
    Skipped,
    TaskShown,
    desk_view,
    label_text,
    outside,
    shown,
)
from everloop_runtime.problems import Problem

_AHEAD = 4
"""Tasks that one person holds: the one they look at, and those whose pictures come meanwhile."""
_LONGEST_REASON = 200
_KINDS = {b"\x89PNG": b"image/png", b"\xff\xd8\xff": b"image/jpeg", b"RIFF": b"image/webp"}


def show(asked: Asked) -> Answer:
    """The page around the script."""
    project, task = asked.project, asked.project.declaration.task
    view = desk_view(
        getattr(task, "widget", None),
        task.classes,
        project.queue.counts(),
        project.rules.closed,
        project.policy.level,
    )
    return page(asked, "label.html", title="Label", view=view, reasons=SKIP_REASONS)


def take(asked: Asked) -> Answer:
    """The tasks that this person holds now, the next ones among them, held for longer."""
    project = asked.project
    lease = project.policy.labelling.lease
    tasks = project.queue.take(asked.who.name, asked.now, lease, _AHEAD)
    return told({"tasks": _shown(asked, tasks)})


def picture(asked: Asked) -> Answer:
    """The rendition of a task that this person holds or held."""
    task = _held(asked)
    data = asked.project.data.renditions.read(task.cleared.rendition)
    kind = next((kind for magic, kind in _KINDS.items() if data.startswith(magic)), None)
    if kind is None:
        raise Problem(415, "this rendition is no picture", "tell whoever runs this")
    headers = {"Cache-Control": "private, max-age=3600", "Content-Security-Policy": "sandbox"}
    return Answer(data, kind, headers=headers)


def answer(asked: Asked) -> Answer:
    """Save an answer; it is on the disk when this is told. The same again changes nothing."""
    project, task = asked.project, _held(asked)
    given = decode(label_text(asked.json(Answered).label))
    if why := project.declaration.task.accepts(given):
        raise Refused(why)
    if isinstance(given, BoxesLabel):
        given = _in_original(asked, task, given)
    project.queue.answer(task.id, encode(given), asked.who.name, asked.now)
    return told({"saved": task.id})


def skip(asked: Asked) -> Answer:
    """Put a task aside, with the reason."""
    task, reason = _held(asked), asked.json(Skipped).reason.strip()[:_LONGEST_REASON]
    if not reason:
        raise Refused("a task is put aside with a reason")
    asked.project.queue.skip(task.id, reason, asked.who.name, asked.now)
    return told({"saved": task.id})


def undo(asked: Asked) -> Answer:
    """Take one's own answer back; the task is open and held again."""
    project, task = asked.project, _held(asked)
    lease = project.policy.labelling.lease
    project.queue.reopen(task.id, asked.who.name, asked.now, lease)
    (again,) = _shown(asked, [task])
    return told({"task": again})


def _shown(asked: Asked, tasks: Sequence[LabelTask]) -> list[TaskShown]:
    """Tasks for the script, what is offered in pixels of the picture that labellers get."""
    if asked.project.declaration.task.label_kind != "boxes":
        return [shown(task) for task in tasks]
    found = []
    for task in tasks:
        offered = None if task.suggestion is None else decode(task.suggestion)
        if isinstance(offered, BoxesLabel):
            boxes = scaled(offered, *_shrunk(asked, task))
            task = replace(task, suggestion=encode(boxes))
        found.append(shown(task))
    return found


def _in_original(asked: Asked, task: LabelTask, label: BoxesLabel) -> BoxesLabel:
    """Boxes in pixels of the original. Raises `Refused` for one that leaves the picture."""
    facts = _facts(asked, task)
    if why := outside(label, facts.width, facts.height):
        raise Refused(why)
    across, down = _shrunk(asked, task)
    return scaled(label, 1 / across, 1 / down)


def _shrunk(asked: Asked, task: LabelTask) -> tuple[float, float]:
    """How much narrower and lower labellers get a picture that is too large for them: 1 is not."""
    project, facts = asked.project, _facts(asked, task)
    if max(facts.width, facts.height) < project.policy.privacy.max_side:
        return 1.0, 1.0
    wide, high = size_of(project, task.sample)
    return facts.width / wide, facts.height / high


def _facts(asked: Asked, task: LabelTask) -> RenditionFacts:
    proof = task.cleared
    return asked.project.data.renditions.of([proof.sample], proof.version)[proof.sample]


def _held(asked: Asked) -> LabelTask:
    """The task of the address. Raises `Conflict` where it is not this person's."""
    task = LabelTaskId(asked.named["task"])
    found = asked.project.queue.held(task, asked.who.name)
    if found is not None:
        return found
    if asked.project.queue.is_known(task):
        raise Conflict(f"task {task[:8]} is not yours: its lease ended and somebody else has it")
    raise nothing_there("such label task")
