"""Captured answers are moved from the service's segments into the store."""

from everloop.loop import kinds
from everloop.loop.decision import Decision, ask, error_of, is_over
from everloop.loop.pursuit import Pursuit
from everloop.loop.world import World
from everloop.policy import Policy

ARM = "collect"


def collect_captures(policy: Policy, world: World, _pursuit: Pursuit | None) -> Decision:
    """Collect the oldest sealed segment."""
    if policy.level == 0:
        return Decision(ARM, None, "captures are collected from level 1 on")
    failed: str | None = None
    for segment in world.segments:
        action = kinds.collect(segment)
        if not is_over(world, action):
            waiting = f"{len(world.segments)} segments of captured answers wait"
            return ask(world, ARM, action, waiting)
        failed = failed or error_of(world, action)
    if failed:
        return Decision(ARM, None, f"a segment could not be read and is kept: {failed}")
    return Decision(ARM, None, f"{world.answers} answers of the champion are in; waits for traffic")
