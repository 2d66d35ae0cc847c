"""Trainings ended by a person: marked so, and gone on with when they are asked for again."""

import logging
from datetime import datetime

from everloop.compute.local import interrupt, is_cut_short
from everloop.errors import Unavailable
from everloop.ids import ActionKey
from everloop.loop.controller import acquire
from everloop.loop.project import Project
from everloop.loop.run_records import brief_record
from everloop.registry.runs import RunRecord

_log = logging.getLogger(__name__)


def interrupt_training(project: Project, now: datetime) -> bool:
    """End the trainings of a project; False when another controller follows them, and goes on.

    The tracker shows them as killed until they go on.
    """
    fence = acquire(project, now)
    if fence is None:
        return False
    try:
        end_trainings(project, now)
        return True
    finally:
        project.leases.release(fence)


def end_trainings(project: Project, now: datetime) -> tuple[ActionKey, ...]:
    """The same, for the controller itself; which were ended."""
    ended = []
    for key, entry in project.journal.unfinished().items():
        folder = project.layout.jobs / key
        if entry.action.kind not in {"train", "reproduce"} or not interrupt(folder):
            continue
        if not is_cut_short(folder):
            continue  # It came to its end just then.
        ended.append(key)
        if entry.action.kind == "train":
            (folder / "tracked.json").unlink(missing_ok=True)
            _tell_tracker(project, brief_record(project, entry, now))
    return tuple(ended)


def _tell_tracker(project: Project, record: RunRecord) -> None:
    try:
        project.registry.record_run(record, None)
    except Unavailable as error:
        _log.warning("the tracker was not told that a run was interrupted: %s", error)
