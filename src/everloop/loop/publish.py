"""The routes document: the release as the service is to apply it."""

from datetime import datetime, timedelta
from typing import Any

from everloop.errors import Refused
from everloop.ids import BundleId
from everloop.loop.project import Project
from everloop.policy import RolloutPolicy
from everloop.state.experiments import Experiment
from everloop.state.releases import CanaryState, Release
from everloop_runtime.routes import CanaryRoute, Routes, ShadowRoute, read_routes, write_routes
from everloop_runtime.routes import Experiment as ExperimentRoute
from everloop_runtime.routes import Variant as VariantRoute


def publish(project: Project, now: datetime) -> None:
    """Write the document if it does not say what the release says, or its lease wants renewal.

    The lease is renewed from the loop's own turns, so that a loop that hangs stops renewing and
    the service returns a candidate's share to the champion.
    """
    wanted = routes_of(project.releases.current(), project.policy.rollout, now)
    if _published(project) != wanted:
        write_routes(project.layout.routes, wanted)


def routes_of(release: Release, policy: RolloutPolicy, now: datetime) -> Routes:
    """What the service is to do at `now`; pure."""
    return Routes(
        generation=release.generation,
        champion=release.champion,
        fallback=standing_by(release, policy, now),
        deadline_seconds=policy.deadline.total_seconds(),
        experiment=_experiment(release.experiment, policy, now),
        **_candidate(release.canary, policy, now),
    )


def standing_by(release: Release, policy: RolloutPolicy, now: datetime) -> BundleId | None:
    """The champion before, as long as it is kept loaded for an instant return."""
    if release.champion_since is None or now >= release.champion_since + policy.watch:
        return None
    return release.previous


def _candidate(
    candidate: CanaryState | None, policy: RolloutPolicy, now: datetime
) -> dict[str, Any]:
    if candidate is None:
        return {}
    if candidate.mode == "green":
        return {"warm": candidate.bundle}
    part: dict[str, Any] = {
        "bundle": candidate.bundle,
        "share": candidate.share,
        "lease_seconds": policy.lease.total_seconds(),
        "renewal": _renewal(now, policy.lease),
    }
    if candidate.mode == "shadow":
        return {"shadow": ShadowRoute(**part)}
    return {"canary": CanaryRoute(**part)}


def _experiment(
    running: Experiment | None, policy: RolloutPolicy, now: datetime
) -> ExperimentRoute | None:
    if running is None:
        return None
    return ExperimentRoute(
        name=running.name,
        variants=tuple(
            VariantRoute(
                name=variant.name,
                bundle=variant.bundle,
                share=variant.share,
                out=variant.out_at is not None,
            )
            for variant in running.variants
        ),
        lease_seconds=policy.lease.total_seconds(),
        renewal=_renewal(now, policy.lease),
    )


def _published(project: Project) -> Routes | None:
    """What the document says; None when it is broken, and so must be written anew."""
    try:
        return read_routes(project.layout.routes)
    except Refused:
        return None


def _renewal(now: datetime, lease: timedelta) -> int:
    """A number that changes three times a lease."""
    return int(now.timestamp() / (lease.total_seconds() / 3))
