"""Turn answered label tasks into annotations."""

from datetime import datetime, timedelta

from everloop.action import Action, Outcome
from everloop.data.annotations import Annotation, annotation_id
from everloop.loop.project import Project, Turn
from everloop.loop.review import keep_out_disputed
from everloop.state.label_queue import Answered

_TICK = timedelta(microseconds=1)


def record_answers(project: Project, turn: Turn, _action: Action) -> Outcome:
    """Every answer given so far is an annotation, and its task says so."""
    answered = (*project.queue.answered_unrecorded(), *project.resolutions.unrecorded())
    standing = project.data.annotations.standing([task.sample for task in answered])
    said = [
        _annotation(task, standing.get(task.sample))
        for task in answered
        # Of a gold question the label is known: its answer says something of who gave it.
        if task.purpose != "gold"
    ]
    # Annotation before mark: a task may never be called recorded before its annotation is there.
    added = project.data.annotations.append([each for each in said if each is not None])
    project.queue.mark_recorded(answered, turn.fence)
    project.resolutions.mark_recorded(answered, turn.fence)
    keep_out_disputed(project, turn.now)
    return Outcome(final=True, result={"annotations": added, "answers": len(answered)})


def _annotation(task: Answered, standing: Annotation | None) -> Annotation | None:
    """What an answer says; None where it stands already.

    Whoever took their recorded answer back and gives another changes their own statement, also
    where they return to an older label.
    """
    before = standing
    if before is not None and (before.by, before.origin) != (task.by, task.id):
        before = None
    if before is not None and before.label == task.label:
        return None
    changed = None if before is None else before.id
    return Annotation(
        id=annotation_id(task.sample, task.label, task.by, task.id, supersedes=changed),
        sample=task.sample,
        label=task.label,
        by=task.by,
        kind="person" if task.confidence is None else "accepted",
        confidence=task.confidence,
        at=_moment(task, standing, before),
        origin=task.id,
    )


def _moment(task: Answered, standing: Annotation | None, before: Annotation | None) -> datetime:
    """When an answer counts as given: the later statement stands, also where the clock was put
    back in between. An adjudicator's is later than what they decided about."""
    earlier = standing if task.purpose == "review" else before
    return task.at if earlier is None else max(task.at, earlier.at + _TICK)
