"""The stages between a learnt bundle and traffic: judge, admit, verify, roll out."""

from everloop.loop import kinds
from everloop.loop.decision import Decision, ask, is_over
from everloop.loop.pursuit import Pursuit
from everloop.loop.world import World
from everloop.policy import Policy


def judge(policy: Policy, world: World, pursuit: Pursuit | None) -> Decision:
    """Evaluate the bundle and the champion on the same hold-out, and hold the gates.

    The champion needs not wait for its rival: it is measured while that one still learns.
    """
    champion = world.release.champion
    if pursuit is not None and pursuit.stage == "train" and champion is not None:
        measure = kinds.evaluate(policy, champion, pursuit.snapshot)
        if not is_over(world, measure):
            why = "the champion is measured on the new hold-out while its rival learns"
            return ask(world, "judge", measure, f"{pursuit.name}: {why}")
    return _stage(world, pursuit, "judge")


def admit(_policy: Policy, world: World, pursuit: Pursuit | None) -> Decision:
    """Register what passed, and have it approved by rule or by a person."""
    return _stage(world, pursuit, "admit")


def verify(_policy: Policy, world: World, pursuit: Pursuit | None) -> Decision:
    """Replay the hold-out through the candidate's own live service."""
    return _stage(world, pursuit, "verify")


def roll_out(_policy: Policy, world: World, pursuit: Pursuit | None) -> Decision:
    """Move traffic step by step, or back."""
    return _stage(world, pursuit, "roll-out")


def _stage(world: World, pursuit: Pursuit | None, stage: str) -> Decision:
    if pursuit is None:
        return Decision(stage, None, "waits for a first model")
    if pursuit.stage != stage:
        where = pursuit.reason if pursuit.ended else f"it is at {pursuit.stage}"
        return Decision(stage, None, f"nothing to do for {pursuit.name}: {where}")
    if pursuit.action is None:
        return Decision(stage, None, f"{pursuit.name}: {pursuit.reason}")
    return ask(world, stage, pursuit.action, f"{pursuit.name}: {pursuit.reason}")
