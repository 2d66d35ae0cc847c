"""What people answered becomes part of the annotations' history."""

from datetime import timedelta

from everloop.loop import kinds
from everloop.loop.decision import Decision, ask
from everloop.loop.pursuit import Pursuit
from everloop.loop.world import World
from everloop.policy import Policy

ARM = "record"
_BATCH = 100
_SETTLE = timedelta(seconds=5)
"""Answers are recorded together: when a round is done, a batch is full, or nobody goes on."""


def record_answers(_policy: Policy, world: World, _pursuit: Pursuit | None) -> Decision:
    """Record the answered label tasks that are not annotations yet."""
    queue = world.queue
    if queue.unrecorded is None:
        what = f"{queue.open} label tasks wait for people" if queue.open else "no task is open"
        return Decision(ARM, None, f"no new answers; {what}")
    count = queue.unrecorded_count
    newest = queue.newest_answer
    settled = newest is None or world.now - newest >= _SETTLE
    if queue.open and count < _BATCH and not settled:
        return Decision(ARM, None, f"{count} new answers, and more are coming")
    action = kinds.record_answers(queue.unrecorded)
    return ask(world, ARM, action, f"{count} tasks were answered")
