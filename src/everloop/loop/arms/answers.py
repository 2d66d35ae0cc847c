"""What people answered becomes part of the annotations' history."""

from everloop.loop import kinds
from everloop.loop.decision import Decision, ask
from everloop.loop.pursuit import Pursuit
from everloop.loop.world import World
from everloop.policy import Policy

ARM = "record"


def record_answers(_policy: Policy, world: World, _pursuit: Pursuit | None) -> Decision:
    """Record the answered label tasks that are not annotations yet."""
    queue = world.queue
    if queue.unrecorded is None:
        what = f"{queue.open} label tasks wait for people" if queue.open else "no task is open"
        return Decision(ARM, None, f"no new answers; {what}")
    action = kinds.record_answers(queue.unrecorded)
    return ask(world, ARM, action, f"people answered {queue.unrecorded_count} tasks")
