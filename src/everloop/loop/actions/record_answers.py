"""Turn what people answered into annotations."""

from everloop.action import Action, Outcome
from everloop.data.annotations import Annotation, annotation_id
from everloop.loop.project import Project, Turn


def record_answers(project: Project, turn: Turn, _action: Action) -> Outcome:
    """Every answer given so far is an annotation, and its task says so."""
    answered = project.queue.answered_unrecorded()
    annotations = [
        Annotation(
            id=annotation_id(task.sample, task.label, task.by, task.id),
            sample=task.sample,
            label=task.label,
            by=task.by,
            kind="person",
            confidence=None,
            at=task.at,
            origin=task.id,
        )
        for task in answered
    ]
    # Annotation before mark: a task may never be called recorded before its annotation is there.
    added = project.data.annotations.append(annotations)
    project.queue.mark_recorded(answered, turn.fence)
    return Outcome(final=True, result={"annotations": added, "answers": len(answered)})
