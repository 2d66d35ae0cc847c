"""Take a source folder's new files into the store."""

from everloop.action import Action, Outcome
from everloop.data.ingest import ingest as take_in
from everloop.loop.project import Project, Turn


def ingest(project: Project, turn: Turn, action: Action) -> Outcome:
    """Every file of the folder is in the store, or quarantined with its reason."""
    source = str(action.inputs["source"])
    report = take_in(
        project.data,
        project.layout.project / source,
        source=source,
        classes=project.declaration.task.classes,
        limits=project.limits,
        now=turn.now,
        split=project.split,
    )
    return Outcome(
        final=True,
        result={
            "added": report.added,
            "known": report.known,
            "labelled": report.labelled,
            "quarantined": len(report.quarantined),
        },
    )
