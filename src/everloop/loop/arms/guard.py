"""A new champion is still watched for a time, and returned from when it breaches."""

from everloop.action import Action
from everloop.ids import BundleId
from everloop.loop import kinds
from everloop.loop.decision import Decision, ask
from everloop.loop.pursuit import Pursuit
from everloop.loop.world import World
from everloop.policy import Policy
from everloop.rollout.canary import LASTING, OWN, analyse, limits_of

ARM = "guard"


def guard(policy: Policy, world: World, _pursuit: Pursuit | None) -> Decision:
    """Return to the champion before when the new one breaches within its time of watch.

    It is compared with what the one before served in as long a time before the change: what
    depends on the traffic of the hour (confidence, which classes are answered) is left out, and
    once the input drifted also labels and business figures: the world is another then, not the
    model.
    """
    release = world.release
    champion, before, since = release.champion, release.previous, release.champion_since
    if champion is None or before is None or since is None:
        return Decision(ARM, None, "there is no champion before to return to")
    left = since + policy.rollout.watch - world.now
    if left.total_seconds() <= 0:
        return Decision(ARM, None, "the champion stood its time of watch")
    if _returned_to(world, champion):
        return Decision(ARM, None, "the champion was returned to: it is not newly promoted")
    back = kinds.roll_back_promotion(champion, before, since)
    failed = None if world.service is None else world.service.failed.get(champion)
    if failed is not None:
        return ask(world, ARM, back, f"the service cannot run the new champion: {failed}")
    limits = limits_of(policy.rollout, steps=1, classes=world.classes)
    analysis = analyse(world.watched, limits, OWN if _drifted(world, champion) else LASTING)
    told = "; ".join(analysis.reasons)
    if analysis.verdict == "breached":
        return ask(world, ARM, back, f"the new champion breached: {told}")
    return Decision(ARM, None, f"watched for {left.total_seconds():.0f} s more ({told})")


def _drifted(world: World, champion: BundleId) -> bool:
    last = world.latest("monitor", bundle=champion)
    return last is not None and (world.result(last.action) or {}).get("drifted") is True


def _returned_to(world: World, champion: BundleId) -> bool:
    """Whether it is champion because another was sent back."""
    came = [
        entry
        for entry in world.journal.values()
        if entry.action.kind in {"promote", "deploy", "rollback"}
        and not _ended_a_canary(world, entry.action)
        and entry.outcome is not None
        and entry.outcome.succeeded
        and entry.outcome.result.get("champion") == champion
    ]
    last = max(came, key=lambda entry: entry.finished_at or entry.intended_at, default=None)
    return last is not None and last.action.kind == "rollback"


def _ended_a_canary(world: World, action: Action) -> bool:
    """Whether it took a share back from a bundle that never was champion: no change of champion."""
    bundle = action.inputs["bundle"]
    served = (world.latest(kind, bundle=bundle) for kind in ("promote", "deploy"))
    return action.kind == "rollback" and not any(served)
