"""Single pieces of work that a command waits for, done by the engine where that is no process."""

import secrets
import time
from collections.abc import Mapping
from datetime import timedelta

from everloop.compute.job import Failed, Running
from everloop.errors import Refused
from everloop.ids import ActionKey, Json
from everloop.loop.actions.jobs import job_state
from everloop.loop.project import Project

_PAUSE = 0.3
_LONGEST = timedelta(days=7)


def is_elsewhere(project: Project) -> bool:
    """Whether work goes to a cluster: on one machine a command does it itself, and sooner."""
    return project.policy.compute != "local"


def run_elsewhere(project: Project, kind: str, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
    """The result of a job of its own; `Refused` with its reason when it fails."""
    key = ActionKey(f"{kind}-{secrets.token_hex(16)}")
    while isinstance(state := job_state(project, key, kind, inputs, _LONGEST), Running):
        time.sleep(_PAUSE)
    if isinstance(state, Failed):
        raise Refused(state.reason)
    return state.result
