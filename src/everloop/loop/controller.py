"""The controller: one turn after another, by whoever holds the lease."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from everloop.action import Outcome
from everloop.errors import Conflict
from everloop.loop.act import perform
from everloop.loop.arms.requests import heed_requests
from everloop.loop.decide import decide
from everloop.loop.decision import Decision
from everloop.loop.observe import observe, observe_requests
from everloop.loop.project import LEASE_TTL, Project, Turn
from everloop.loop.publish import publish
from everloop.loop.tell import tell
from everloop.state.lease import Fence, this_process

LEASE = "controller"


@dataclass(frozen=True, slots=True)
class Step:
    """One Action that was attempted in a turn, and what came of it."""

    decision: Decision
    outcome: Outcome


def take_turn(
    project: Project, fence: Fence, clock: Callable[[], datetime]
) -> tuple[tuple[Decision, ...], tuple[Step, ...]]:
    """Observe, decide, act once. Raises `Conflict` when another controller has taken over."""
    now = clock()
    if not project.leases.renew(fence, now, LEASE_TTL):
        raise Conflict("another controller has taken over; this one stops writing")
    publish(project, now)
    turn = Turn(fence, now)
    world = observe(project, now)
    decisions = decide(project.policy, world)
    steps = tuple(
        Step(decision, perform(project, turn, decision, clock))
        for decision in decisions
        if decision.action is not None
    )
    tell(project, turn, world, decisions)
    return decisions, steps


def heed_urgent(project: Project, turn: Turn, clock: Callable[[], datetime]) -> tuple[Step, ...]:
    """Do at once what a person asked for in a hurry: going back. The rest waits for a turn."""
    if not any(request.kind == "rollback" for request in project.requests.pending()):
        return ()
    decision = heed_requests(project.policy, observe_requests(project, turn.now), None)
    if decision.action is None:
        return ()
    return (Step(decision, perform(project, turn, decision, clock)),)


def acquire(project: Project, now: datetime) -> Fence | None:
    """The right to control, or None while another controller holds it."""
    return project.leases.acquire(LEASE, this_process(), now, LEASE_TTL)
