"""What was begun and cut short is brought to its end."""

from collections.abc import Mapping

from everloop.action import Entry
from everloop.ids import ActionKey, BundleId
from everloop.loop.decision import MOVES, Decision, is_over
from everloop.loop.pursuit import sent_back
from everloop.loop.world import World

ARM = "resume"


def resume(world: World, asked: Mapping[ActionKey, Decision]) -> Decision:
    """Ask again for the oldest Action without a final outcome that no other arm asks for.

    A controller that was killed inside an Action may have had its effect without writing its
    outcome; since every Action is safe to repeat, doing it again writes the outcome too. Traffic
    is the exception: it is not moved onto a bundle that was rejected or sent back since, nor away
    from one that was deployed again since.
    """
    moved = any(d.action is not None and d.action.kind in MOVES for d in asked.values())
    due = [
        entry
        for entry in world.journal.values()
        if not is_over(world, entry.action)
        and entry.action.key not in asked
        and _due(world, entry)
        and not _withdrawn(world, entry)
        and not (entry.action.kind in MOVES and moved)
    ]
    if not due:
        return Decision(ARM, None, "nothing was left half done")
    oldest = min(due, key=lambda entry: (entry.intended_at, entry.action.key))
    return Decision(ARM, oldest.action, oldest.reason)


def _due(world: World, entry: Entry) -> bool:
    return entry.not_before is None or entry.not_before <= world.now


def _withdrawn(world: World, entry: Entry) -> bool:
    kind, experiment = entry.action.kind, world.release.experiment
    if kind == "experiment":
        # While its request is open that asks for it; what began meanwhile is only to be told so.
        return experiment is None or experiment.name != entry.action.inputs["experiment"]
    if kind not in {"canary", "promote", "deploy", "rollback"}:
        return False
    bundle = BundleId(str(entry.action.inputs["bundle"]))
    if kind == "rollback":
        again = world.latest("deploy", bundle=bundle)
        deployed = again is not None and again.intended_at >= entry.intended_at
        return deployed and world.release.champion == bundle
    if kind != "deploy" and experiment is not None:
        return True
    approved, _ = world.decisions.get(bundle, (True, ""))
    return not approved or sent_back(world, bundle) is not None
