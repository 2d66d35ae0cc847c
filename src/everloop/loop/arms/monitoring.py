"""The live model is watched window by window."""

from everloop.action import Entry
from everloop.ids import BundleId
from everloop.loop import kinds
from everloop.loop.decision import Decision, ask, error_of, is_over
from everloop.loop.pursuit import Pursuit
from everloop.loop.world import World
from everloop.policy import Policy

ARM = "monitor"


def watch(policy: Policy, world: World, _pursuit: Pursuit | None) -> Decision:
    """Compare the champion's newest full window with its reference."""
    champion = world.release.champion
    if policy.level == 0:
        return Decision(ARM, None, "monitoring begins at level 1")
    if champion is None:
        return Decision(ARM, None, "no model is live")
    size = policy.monitor.window
    newest = world.answers // size - 1
    if newest < 0:
        return Decision(ARM, None, f"{world.answers} of the {size} answers of a first window")
    action = kinds.monitor(champion, newest, size)
    if not is_over(world, action):
        return ask(world, ARM, action, f"{size} new answers make window {newest}")
    if error := error_of(world, action):
        return Decision(ARM, None, f"window {newest} could not be judged: {error}")
    seen = world.answers - (newest + 1) * size
    told = (world.result(action) or {}).get("summary", "no summary")
    return Decision(ARM, None, f"window {newest}: {told}; {seen} of {size} for the next")


def windows(world: World, champion: BundleId) -> list[Entry]:
    """The judged windows of a bundle, newest first."""
    found = [
        entry
        for entry in world.journal.values()
        if entry.action.kind == "monitor"
        and entry.action.inputs["bundle"] == champion
        and entry.outcome is not None
        and entry.outcome.succeeded
    ]
    return sorted(found, key=window_of, reverse=True)


def window_of(entry: Entry) -> int:
    """The index of the window that a `monitor` or `select` entry is about."""
    return int(str(entry.action.inputs["window"]))
