"""A product's stores as one thread of the pages has opened them."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everloop.loop.project import Project
    from everloop.loop.world import World

_FRESH = timedelta(seconds=1)


class Opened:
    """The stores, and the world that was seen last in them."""

    def __init__(self, project: "Project") -> None:
        self.project = project
        self._seen: World | None = None

    def world(self, now: datetime) -> "World":
        """The world, a second old at most: however many look, it is observed once."""
        from everloop.loop.observe import observe

        seen = self._seen
        if seen is None or not timedelta(0) <= now - seen.now < _FRESH:
            seen = self._seen = observe(self.project, now)
        return seen
