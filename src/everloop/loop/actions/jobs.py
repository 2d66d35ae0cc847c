"""The heavy Actions, run as jobs: train, reproduce, evaluate and verify."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from everloop.action import Action, Outcome
from everloop.compute.job import Failed, Job, JobState, Running
from everloop.compute.local import is_running
from everloop.errors import Refused, Unavailable
from everloop.ids import ActionKey, BundleId, Json
from everloop.loop.project import Project, Turn
from everloop.loop.run_records import brief_record, held_metrics
from everloop.training.limits import line_reached
from everloop_runtime.bundle import open_bundle
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import canonical_json

POLL = timedelta(milliseconds=300)
"""How soon a job that runs is looked at again."""
_SHORT_JOB = timedelta(minutes=30)
_log = logging.getLogger(__name__)


def train(project: Project, turn: Turn, action: Action) -> Outcome:
    """A bundle learnt from the snapshot, and the record of the attempt."""
    _open_record(project, turn, action)
    outcome = _follow(project, action, _bounds(project), project.policy.train.timeout)
    return _with_line(project, action, outcome)


def reproduce(project: Project, _turn: Turn, action: Action) -> Outcome:
    """A run done again from its record, beside what it gave then."""
    key = ActionKey(str(action.inputs["run"]))
    entry = project.journal.entry(key)
    if entry is None:
        raise Refused(f"there is no run {key}")
    inputs = {**entry.action.inputs, "of": key, **_bounds(project)}
    outcome = _follow(project, action, inputs, project.policy.train.timeout)
    return _with_line(project, action, outcome)


def _bounds(project: Project) -> dict[str, Json]:
    """What does not change what is learnt, and so is no part of the Action's name."""
    policy = project.policy.train
    return {"memory": policy.memory, "checkpoint": policy.checkpoint.total_seconds()}


def _open_record(project: Project, turn: Turn, action: Action) -> None:
    """Let the tracker show a run from its beginning, and again when it goes on after a kill.

    Best effort: what it is not told now, it is told when the run is over.
    """
    folder = project.layout.jobs / action.key
    if is_running(folder) or (folder / "exit.json").exists():
        return
    entry = project.journal.entry(action.key)
    begun = folder / "starts.json"
    told, start = folder / "tracked.json", begun.read_bytes() if begun.exists() else b""
    if entry is None or (told.exists() and told.read_bytes() == start):
        return
    try:
        record = replace(brief_record(project, entry, turn.now), status="running")
        project.registry.record_run(record, None)
    except Unavailable as error:
        _log.warning("the tracker was not told that a run began: %s", error)
    write_atomic(told, start)


def _with_line(project: Project, action: Action, outcome: Outcome) -> Outcome:
    """The outcome of a training that was ended at its time limit names the line it was at."""
    line = line_reached(project.layout.jobs / action.key, project.layout.project)
    if outcome.error is None or line is None:
        return outcome
    return replace(outcome, error=f"{line}: {outcome.error}")


def evaluate(project: Project, _turn: Turn, action: Action) -> Outcome:
    """The bundle's evaluation on the snapshot's hold-out, also told to the run it came from."""
    # How people may see the samples it is worst on is no part of what it is.
    data = project.policy.data
    shown: dict[str, Json] = {
        "privacy": project.rules.policy.model_dump(mode="json"),
        "moderates": project.declaration.moderates,
        "code": project.declaration.code,
        "limits": {"max_bytes": data.max_bytes, "max_pixels": data.max_pixels},
    }
    outcome = _follow(project, action, shown, _SHORT_JOB)
    if outcome.succeeded:
        _tell_run(project, action, outcome)
    return outcome


def _tell_run(project: Project, action: Action, outcome: Outcome) -> None:
    bundle = BundleId(str(action.inputs["bundle"]))
    lineage = open_bundle(project.layout.bundles / bundle, bundle).manifest.lineage
    if lineage.get("snapshot") != action.inputs["snapshot"]:
        return  # The champion on a newer hold-out: its run was measured on its own.
    try:
        run = ActionKey(str(lineage["run"]))
        project.registry.add_metrics(run, held_metrics(outcome.result.get("metrics", {})))
    except Unavailable as error:
        _log.warning("the tracker was not told an evaluation: %s", error)


def verify(project: Project, _turn: Turn, action: Action) -> Outcome:
    """The verdict of replaying the hold-out through the bundle's own live service."""
    return _follow(project, action, {"service": list(project.commands.service)}, _SHORT_JOB)


def _follow(
    project: Project, action: Action, extra: Mapping[str, Json], timeout: timedelta
) -> Outcome:
    state = job_state(project, action.key, action.kind, {**action.inputs, **extra}, timeout)
    if isinstance(state, Running):
        return Outcome(final=False, delay=POLL)
    if isinstance(state, Failed):
        return Outcome(final=True, error=state.reason)
    return Outcome(final=True, result=state.result)


def job_state(
    project: Project,
    key: ActionKey,
    kind: str,
    inputs: Mapping[str, Json],
    timeout: timedelta,
) -> JobState:
    """The state of the job of this key, started with `inputs` if it was not yet."""
    folder = project.layout.jobs / key
    path = folder / "inputs.json"
    if not path.exists():
        told: dict[str, Json] = {
            **inputs,
            "kind": kind,
            "key": key,
            "storage": project.policy.storage.model_dump(mode="json"),
            "project": str(project.layout.project),
            "product": project.declaration.product,
            "task": project.declaration.task.declaration(),
        }
        write_atomic(path, canonical_json(told))
    return project.engine.ensure(Job(key, (*project.commands.job, str(folder)), folder, timeout))
