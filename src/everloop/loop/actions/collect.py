"""Move one sealed segment of captured answers into the store."""

from functools import partial

from everloop.action import Action, Outcome
from everloop.data.collect import collect as take_in
from everloop.data.corrections import annotate
from everloop.errors import Refused
from everloop.loop.project import Project, Turn
from everloop.loop.watching import sketch_segment


def collect(project: Project, turn: Turn, action: Action) -> Outcome:
    """The segment's answers and feedback are in the store, and only then the segment is gone."""
    name = str(action.inputs["segment"])
    path = project.layout.capture / name
    if path.parent != project.layout.capture:
        raise Refused(f"a segment's name has no folders in it; got {name!r}")
    if not path.exists():
        return Outcome(final=True, result={"predictions": 0, "gone": True})
    report = take_in(
        project.data,
        path,
        now=turn.now,
        split=project.split,
        seen=partial(sketch_segment, project, name),
    )
    kinds = project.policy.feedback
    annotated = annotate(
        project.data,
        project.declaration.task.accepts,
        {"label": kinds.labels, "correction": kinds.corrections},
    )
    path.unlink(missing_ok=True)
    return Outcome(
        final=True,
        result={
            "predictions": report.predictions,
            "samples": report.samples,
            "errors": report.errors,
            **({"feedback": report.feedback} if report.feedback else {}),
            **({"annotations": annotated} if annotated else {}),
        },
    )
