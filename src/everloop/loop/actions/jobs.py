"""The heavy Actions, run as jobs: train, evaluate and verify."""

from collections.abc import Mapping
from datetime import timedelta

from everloop.action import Action, Outcome
from everloop.compute.job import Failed, Job, JobState, Running
from everloop.ids import ActionKey, Json
from everloop.loop.project import Project, Turn
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import canonical_json

POLL = timedelta(milliseconds=300)
"""How soon a job that runs is looked at again."""
_SHORT_JOB = timedelta(minutes=30)


def train(project: Project, _turn: Turn, action: Action) -> Outcome:
    """A bundle learnt from the snapshot, and the record of the attempt."""
    return _follow(project, action, {}, project.policy.train.timeout)


def evaluate(project: Project, _turn: Turn, action: Action) -> Outcome:
    """The bundle's evaluation on the snapshot's hold-out."""
    # How people may see the samples it is worst on is no part of what it is.
    data = project.policy.data
    shown: dict[str, Json] = {
        "privacy": project.rules.policy.model_dump(mode="json"),
        "moderates": project.declaration.moderates,
        "code": project.declaration.code,
        "limits": {"max_bytes": data.max_bytes, "max_pixels": data.max_pixels},
    }
    return _follow(project, action, shown, _SHORT_JOB)


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
