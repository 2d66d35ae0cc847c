"""Label tasks that wait for the privacy filters are cleared before anybody gets them."""

from everloop.action import Action
from everloop.loop import kinds
from everloop.loop.decision import Decision, ask, error_of, is_over
from everloop.loop.pursuit import Pursuit
from everloop.loop.world import World
from everloop.policy import Policy

ARM = "privacy"


def clear_tasks(policy: Policy, world: World, _pursuit: Pursuit | None) -> Decision:
    """Clear the tasks that another policy version, or none, has cleared."""
    gate, queue = world.gate, world.queue
    waiting = f"{queue.uncleared_count} label tasks wait"
    if gate.version is None:
        told = f"; {waiting}" if queue.uncleared else ""
        return Decision(ARM, None, f"the gate is closed: {gate.closed}{told}")
    action = clear_waiting(policy, world)
    if action is None:
        return Decision(ARM, None, "; ".join((*_standing(world), "nothing waits to be cleared")))
    if is_over(world, action):
        return Decision(ARM, None, f"{waiting}: {error_of(world, action)}")
    return ask(world, ARM, action, f"{waiting} for the filters of {gate.version[:8]}")


def clear_waiting(policy: Policy, world: World) -> Action | None:
    """The Action that clears the waiting tasks; None when none waits or the gate is closed."""
    if world.gate.version is None or world.queue.uncleared is None:
        return None
    return kinds.clear(policy, world.gate.version, world.queue.uncleared, _succeeded(world))


def _succeeded(world: World) -> int:
    return sum(
        1
        for entry in world.journal.values()
        if entry.action.kind == "clear" and entry.outcome is not None and entry.outcome.succeeded
    )


def _standing(world: World) -> tuple[str, ...]:
    held = world.gate.held
    told = f"{held} samples are held back: everloop privacy list" if held else ""
    return tuple(text for text in (*world.gate.warnings, told) if text)
