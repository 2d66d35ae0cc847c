"""Record a training attempt in the tracker, whether it worked or not."""

from pathlib import Path

from everloop.action import Action, Outcome
from everloop.errors import Refused
from everloop.ids import ActionKey
from everloop.loop.project import Project, Turn
from everloop.loop.run_records import full_record
from everloop.training.attempt import ARTIFACTS


def track(project: Project, turn: Turn, action: Action) -> Outcome:
    """The attempt is a run in the tracker, with everything that moved."""
    key = ActionKey(str(action.inputs["run"]))
    entry = project.journal.entry(key)
    if entry is None or entry.outcome is None or not entry.outcome.final:
        raise Refused(f"{key} is not over yet")
    record = full_record(project, entry, turn.now)
    run = project.registry.record_run(record, _artifacts(project, key))
    return Outcome(final=True, result={"run": run})


def _artifacts(project: Project, key: ActionKey) -> Path | None:
    folder = project.layout.jobs / key / ARTIFACTS
    return folder if folder.is_dir() else None
