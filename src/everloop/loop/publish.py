"""The routes document: the release as the service is to apply it."""

from datetime import datetime, timedelta

from everloop.errors import Refused
from everloop.loop.project import Project
from everloop_runtime.routes import CanaryRoute, Routes, read_routes, write_routes


def publish(project: Project, now: datetime) -> None:
    """Write the document if it does not say what the release says, or its lease wants renewal.

    The lease is renewed from the loop's own turns, so that a loop that hangs stops renewing and
    the service returns the canary's share to the champion.
    """
    release = project.releases.current()
    canary = None
    if release.canary is not None:
        lease = project.policy.rollout.lease
        canary = CanaryRoute(
            bundle=release.canary.bundle,
            share=release.canary.share,
            lease_seconds=lease.total_seconds(),
            renewal=_renewal(now, lease),
        )
    wanted = Routes(generation=release.generation, champion=release.champion, canary=canary)
    if _published(project) != wanted:
        write_routes(project.layout.routes, wanted)


def _published(project: Project) -> Routes | None:
    """What the document says; None when it is broken, and so must be written anew."""
    try:
        return read_routes(project.layout.routes)
    except Refused:
        return None


def _renewal(now: datetime, lease: timedelta) -> int:
    """A number that changes three times a lease."""
    return int(now.timestamp() / (lease.total_seconds() / 3))
