"""New files in the sources are taken into the store."""

from everloop.loop import kinds
from everloop.loop.decision import Decision, ask, error_of, is_over
from everloop.loop.pursuit import Pursuit
from everloop.loop.world import World
from everloop.policy import Policy

ARM = "ingest"


def take_sources(_policy: Policy, world: World, _pursuit: Pursuit | None) -> Decision:
    """Ingest the first source whose listing has changed since it was last taken in."""
    if not world.sources:
        return Decision(ARM, None, "no source folder is there yet: see [data] sources")
    for source in world.sources:
        if source.trouble is not None:
            continue
        action = kinds.ingest(source.path, source.listing)
        if not is_over(world, action):
            return ask(world, ARM, action, f"{source.path} holds {source.files} files, some new")
        if error := error_of(world, action):
            return Decision(ARM, None, f"{source.path} could not be taken in: {error}")
    for source in world.sources:
        if source.trouble is not None:
            return Decision(ARM, None, f"{source.path} cannot be looked at: {source.trouble}")
    files = sum(source.files for source in world.sources)
    return Decision(ARM, None, f"all {files} files of the sources are in; waits for new ones")
