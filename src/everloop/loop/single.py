"""Single steps on demand: by the running controller, or by this process when none runs."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime

from everloop.action import Action, Outcome
from everloop.errors import Refused
from everloop.ids import Json
from everloop.loop.act import perform
from everloop.loop.arms.reply import REFUSED
from everloop.loop.arms.requests import REQUESTABLE, heed_requests
from everloop.loop.controller import acquire, heed_urgent
from everloop.loop.observe import observe
from everloop.loop.project import LEASE_TTL, Project, Turn
from everloop.state.lease import Fence

_PAUSE = 0.2


def _patiently() -> None:
    """Nobody looks on."""


def run_action(
    project: Project,
    action: Action,
    *,
    by: str,
    clock: Callable[[], datetime],
    waiting: Callable[[], None] = _patiently,
) -> Outcome:
    """The final outcome of one Action, which is done now unless it was done before.

    `waiting` is called a few times a second until then.
    """
    if action.kind not in REQUESTABLE:
        raise Refused(f"{action.kind} cannot be asked for singly: {', '.join(REQUESTABLE)} can")
    inputs: dict[str, Json] = {"kind": action.kind, "inputs": action.inputs}
    ask_loop(project, "act", inputs, by=by, clock=clock, waiting=waiting)
    entry = project.journal.entry(action.key)
    assert entry is not None and entry.outcome is not None  # noqa: S101 - the request is done
    return entry.outcome


def ask_loop(
    project: Project,
    kind: str,
    inputs: Mapping[str, Json],
    *,
    by: str,
    clock: Callable[[], datetime],
    waiting: Callable[[], None] = _patiently,
) -> str:
    """Ask the loop for something and wait for its answer; `Refused` when it says no.

    A running controller does it on one of its next turns. Where none runs, this process takes
    the lease and does that one thing.
    """
    request = project.requests.submit(kind, inputs, by, clock())
    fence: Fence | None = None
    try:
        while (answer := project.requests.answer(request)) is None:
            fence = fence or acquire(project, clock())
            if fence is not None:
                _heed(project, fence, clock)
            waiting()
            time.sleep(_PAUSE)
    finally:
        if fence is not None:
            project.leases.release(fence)
    if answer.startswith(REFUSED):
        raise Refused(answer.removeprefix(REFUSED))
    return answer


def _heed(project: Project, fence: Fence, clock: Callable[[], datetime]) -> None:
    now = clock()
    project.leases.renew(fence, now, LEASE_TTL)
    if heed_urgent(project, Turn(fence, now), clock):
        return
    decision = heed_requests(project.policy, observe(project, now), None)
    if decision.action is not None:
        perform(project, Turn(fence, now), decision, clock)
