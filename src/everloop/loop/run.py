"""Running a product: its servers kept alive and the controller's turns taken, until stopped."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from everloop.errors import Conflict, Unavailable
from everloop.loop.controller import Step, acquire, heed_urgent, take_turn
from everloop.loop.interrupting import end_trainings
from everloop.loop.project import Project, Turn
from everloop.loop.publish import publish
from everloop.loop.tell import tell_trouble
from everloop.rollout.service import Address, keep_service, stop_service
from everloop.state.access import Access
from everloop.state.lease import Fence

_PATIENCE = 0.2
_FIRST_TOKEN = timedelta(days=1)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where people and programs find the product."""

    service: str
    tracker: str | None
    pages: str | None = None
    log_in: str | None = None
    """Where the first administrator logs in, once; None after somebody has."""


def run(
    project: Project,
    clock: Callable[[], datetime],
    *,
    stop: Callable[[], bool],
    started: Callable[[Addresses], None],
    acted: Callable[[Step], None],
) -> None:
    """Run until `stop` says so, then stop the servers and the training too.

    Ended otherwise (killed, or by a defect), the servers go on: the next run finds and adopts
    them. While another controller holds the lease, or after it has taken over, this one only
    waits for it.
    """
    while (fence := _wait_for_lease(project, clock, stop)) is not None:
        try:
            _lead(project, fence, clock, stop, started, acted)
        except Conflict as error:
            _log.warning("%s; this one waits", error)
        finally:
            project.leases.release(fence)


def _lead(
    project: Project,
    fence: Fence,
    clock: Callable[[], datetime],
    stop: Callable[[], bool],
    started: Callable[[Addresses], None],
    acted: Callable[[Step], None],
) -> None:
    publish(project, clock())
    service = _service(project)
    tracker = project.tracker.ensure() if project.policy.tracking.ui else None
    pages, log_in = _pages(project, clock())
    started(Addresses(service.url, tracker, pages, log_in))
    _turns(project, fence, clock, stop, acted)
    end_trainings(project, clock())
    stop_servers(project)


def _pages(project: Project, now: datetime) -> tuple[str | None, str | None]:
    if not project.policy.web.on:
        return None, None
    try:
        url = project.pages.ensure()
    except Unavailable as error:
        # A product goes on without its pages.
        _log.warning("no pages: %s", error)
        return None, None
    return url, first_log_in(project.access, url, now)


def first_log_in(access: Access, url: str, now: datetime) -> str | None:
    """Where the first administrator logs in, once; None after somebody has."""
    token = access.first(now, _FIRST_TOKEN)
    # After the "#": browsers keep that part to themselves, so no log on the way has it.
    return None if token is None else f"{url}/login#{token}"


def _service(project: Project) -> Address:
    """The live service, started if it is not there."""
    serve = project.policy.serve
    return keep_service(project.layout, project.commands.service, serve.host, serve.port)


def _wait_for_lease(
    project: Project, clock: Callable[[], datetime], stop: Callable[[], bool]
) -> Fence | None:
    while not stop():
        fence = acquire(project, clock())
        if fence is not None:
            return fence
        time.sleep(_PATIENCE)
    return None


def _turns(
    project: Project,
    fence: Fence,
    clock: Callable[[], datetime],
    stop: Callable[[], bool],
    acted: Callable[[Step], None],
) -> None:
    interval = project.policy.loop.interval.total_seconds()
    while not stop():
        began = time.monotonic()
        try:
            _service(project)
            _, steps = take_turn(project, fence, clock)
        except (Unavailable, OSError) as error:
            # What cannot be reached now (a full disk, a busy store) may be at the next turn.
            _log.warning("the turn was given up: %s", error)
            steps = ()
            # Where the state itself does not answer, nobody can be told.
            with suppress(Unavailable, OSError):
                tell_trouble(project, Turn(fence, clock()), error)
        for step in steps:
            if step.outcome.final or step.outcome.error:
                acted(step)
        # A turn that did something is followed at once: its outcome opens the next step.
        pause = 0.0 if any(s.outcome.final for s in steps) else interval
        until = began + pause
        while not stop() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _PATIENCE / 2))
            for step in _urgent(project, fence, clock):
                acted(step)


def _urgent(project: Project, fence: Fence, clock: Callable[[], datetime]) -> tuple[Step, ...]:
    """Somebody who wants to go back does not wait for the next turn."""
    try:
        return heed_urgent(project, Turn(fence, clock()), clock)
    except (Unavailable, OSError) as error:
        _log.warning("what was asked for waits for the next turn: %s", error)
        return ()


def stop_servers(project: Project) -> tuple[str, ...]:
    """Stop the service (which finishes what it is answering), the tracker's page and ours."""
    stopped = []
    if stop_service(project.layout):
        stopped.append("service")
    if project.tracker.stop():
        stopped.append("tracker")
    if project.pages.stop():
        stopped.append("pages")
    return tuple(stopped)
