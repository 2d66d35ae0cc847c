"""Whether a bundle may have traffic at all: gates, replay and approval, read off the journal."""

from everloop.ids import BundleId
from everloop.loop.world import World


def why_unfit(world: World, bundle: BundleId) -> str | None:
    """What a bundle lacks before it may answer anybody; None when it lacks nothing."""
    for kind, what in (("gate", "its gates"), ("verify", "the replay of its hold-out")):
        if not _passed(world, kind, bundle):
            return f"bundle {bundle[:8]} has not passed {what}"
    approved, by = world.decisions.get(bundle, (False, "nobody yet"))
    return None if approved else f"bundle {bundle[:8]} is not approved ({by})"


def _passed(world: World, kind: str, bundle: BundleId) -> bool:
    return any(
        entry.action.kind == kind
        and entry.action.inputs["bundle"] == bundle
        and (world.result(entry.action) or {}).get("passed") is True
        for entry in world.journal.values()
    )
