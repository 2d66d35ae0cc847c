"""Whether a bundle may have traffic at all: gates, replay and approval, read off the journal."""

from everloop.ids import BundleId
from everloop.loop.world import World


def why_unfit(world: World, bundle: BundleId) -> str | None:
    """What a bundle lacks before it may answer anybody; None when it lacks nothing."""
    for kind, what in (("gate", "its gates"), ("verify", "the replay of its hold-out")):
        if not _passed(world, kind, bundle):
            return f"bundle {bundle[:8]} has not passed {what}"
    if waits := unanswered(world, bundle):
        return f"bundle {bundle[:8]} {waits}"
    nobody = world.half_approved.get(bundle, "nobody yet")
    approved, by = world.decisions.get(bundle, (False, nobody))
    return None if approved else f"bundle {bundle[:8]} is not approved ({by})"


def unanswered(world: World, bundle: BundleId) -> str | None:
    """What the checklist of a bundle lacks before it may be approved; None: nothing."""
    missing, refused = world.checklists.get(bundle, (world.questions, ()))
    if refused:
        return f"is stopped by its checklist: no to {', '.join(refused)}"
    if missing:
        told = ", ".join(missing)
        return f"waits for its checklist ({told}): everloop models checklist {bundle[:8]}"
    return None


def _passed(world: World, kind: str, bundle: BundleId) -> bool:
    return any(
        entry.action.kind == kind
        and entry.action.inputs["bundle"] == bundle
        and (world.result(entry.action) or {}).get("passed") is True
        for entry in world.journal.values()
    )
