"""The heavy Actions, run as jobs: train, evaluate and verify."""

from collections.abc import Mapping
from datetime import timedelta

from everloop.action import Action, Outcome
from everloop.compute.job import Failed, Job, Running
from everloop.ids import Json
from everloop.loop.project import Project, Turn
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import canonical_json

_POLL = timedelta(milliseconds=300)
_SHORT_JOB = timedelta(minutes=30)


def train(project: Project, _turn: Turn, action: Action) -> Outcome:
    """A bundle learnt from the snapshot, and the record of the attempt."""
    return _follow(project, action, {}, project.policy.train.timeout)


def evaluate(project: Project, _turn: Turn, action: Action) -> Outcome:
    """The bundle's evaluation on the snapshot's hold-out."""
    return _follow(project, action, {}, _SHORT_JOB)


def verify(project: Project, _turn: Turn, action: Action) -> Outcome:
    """The verdict of replaying the hold-out through the bundle's own live service."""
    return _follow(project, action, {"service": list(project.commands.service)}, _SHORT_JOB)


def _follow(
    project: Project, action: Action, extra: Mapping[str, Json], timeout: timedelta
) -> Outcome:
    folder = project.layout.jobs / action.key
    _state_inputs(project, action, extra)
    job = Job(action.key, (*project.commands.job, str(folder)), folder, timeout)
    state = project.engine.ensure(job)
    if isinstance(state, Running):
        return Outcome(final=False, delay=_POLL)
    if isinstance(state, Failed):
        return Outcome(final=True, error=state.reason)
    return Outcome(final=True, result=state.result)


def _state_inputs(project: Project, action: Action, extra: Mapping[str, Json]) -> None:
    path = project.layout.jobs / action.key / "inputs.json"
    if path.exists():
        return
    inputs: dict[str, Json] = {
        **action.inputs,
        **extra,
        "kind": action.kind,
        "key": action.key,
        "storage": project.policy.storage.model_dump(mode="json"),
        "project": str(project.layout.project),
        "product": project.declaration.product,
        "task": project.declaration.task.declaration(),
    }
    write_atomic(path, canonical_json(inputs))
