"""Deciding: a pure function from policy and world to what is to be done, and why."""

from collections.abc import Callable, Mapping

from everloop.ids import ActionKey
from everloop.loop.arms.answers import record_answers
from everloop.loop.arms.captures import collect_captures
from everloop.loop.arms.experiment import compare_variants
from everloop.loop.arms.guard import guard
from everloop.loop.arms.labelling import ask_people
from everloop.loop.arms.learning import learn
from everloop.loop.arms.monitoring import watch
from everloop.loop.arms.prelabelling import take_prelabels
from everloop.loop.arms.privacy import clear_tasks
from everloop.loop.arms.requests import heed_requests
from everloop.loop.arms.resume import resume
from everloop.loop.arms.schedule import inspect_service, report_to_people
from everloop.loop.arms.sources import take_sources
from everloop.loop.arms.stages import admit, judge, roll_out, verify
from everloop.loop.decision import MOVES, Decision, is_over
from everloop.loop.pursuit import Pursuit, pursue
from everloop.loop.world import World
from everloop.policy import Policy

Arm = Callable[[Policy, World, Pursuit | None], Decision]

ARMS: tuple[Arm, ...] = (
    take_sources,
    collect_captures,
    record_answers,
    heed_requests,
    guard,
    compare_variants,
    learn,
    judge,
    admit,
    verify,
    roll_out,
    watch,
    inspect_service,
    clear_tasks,
    take_prelabels,
    ask_people,
    report_to_people,
)
"""Every arm of the loop, in the order in which its parts of the life follow each other."""


def decide(policy: Policy, world: World) -> tuple[Decision, ...]:
    """One decision an arm: an Action with its reason, or the reason why the arm waits.

    Never asks for an Action that has a final outcome, nor for one twice; and at most for one a
    turn that moves traffic, since the others were decided on the traffic as it was before.
    """
    pursuit = pursue(policy, world)
    decisions: list[Decision] = []
    asked: dict[ActionKey, Decision] = {}
    for arm in ARMS:
        decision = _once(world, asked, arm(policy, world, pursuit))
        decisions.append(decision)
        if decision.action is not None:
            asked[decision.action.key] = decision
    return (*decisions, resume(world, asked))


def _once(world: World, asked: Mapping[ActionKey, Decision], decision: Decision) -> Decision:
    """The decision, made to wait when its Action is done or another arm's comes before it."""
    action = decision.action
    if action is None:
        return decision
    if is_over(world, action):
        return Decision(decision.arm, None, f"{action.kind} is done: {decision.reason}")
    if other := asked.get(action.key):
        return Decision(decision.arm, None, f"{other.arm} asks for {action.kind} already")
    mover = next((d for d in asked.values() if d.action and d.action.kind in MOVES), None)
    if mover is not None and action.kind in MOVES:
        return Decision(decision.arm, None, f"{mover.arm} moves traffic first: {decision.reason}")
    return decision
