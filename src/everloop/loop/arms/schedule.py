"""What is done by the clock: a look at the service, a report for people."""

from datetime import UTC, datetime, timedelta

from everloop.action import Action
from everloop.loop import kinds
from everloop.loop.decision import Decision, ask, error_of, is_over
from everloop.loop.pursuit import Pursuit
from everloop.loop.world import World
from everloop.policy import Policy

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


def inspect_service(policy: Policy, world: World, _pursuit: Pursuit | None) -> Decision:
    """Look at what was served, once for each period that has passed."""
    if policy.level == 0:
        return Decision("inspect", None, "monitoring begins at level 1")
    if world.release.champion is None:
        return Decision("inspect", None, "no model is live")
    return _by_the_clock(world, "inspect", inspection(policy, world), "served")


def report_to_people(policy: Policy, world: World, _pursuit: Pursuit | None) -> Decision:
    """Write the report of each period that has passed."""
    if not policy.report.on:
        return Decision("report", None, "[report] on = false")
    return _by_the_clock(world, "report", reporting(policy, world), "done")


def inspection(policy: Policy, world: World) -> Action:
    """The look at the latest whole period."""
    return kinds.inspect(*period(world.now, policy.monitor.every))


def reporting(policy: Policy, world: World) -> Action:
    """The report of the latest whole period."""
    return kinds.report(*period(world.now, policy.report.every, policy.report.at))


def period(
    now: datetime, every: timedelta, at: timedelta = timedelta(0)
) -> tuple[datetime, datetime]:
    """From when to when the latest whole period went; periods begin `at` after midnight UTC.

    >>> day, hour = timedelta(days=1), timedelta(hours=1)
    >>> [str(moment)[:16] for moment in period(datetime(2026, 5, 4, 7, tzinfo=UTC), day, 6 * hour)]
    ['2026-05-03 06:00', '2026-05-04 06:00']
    """
    passed = (now - _BEGINNING - at) // every
    until = _BEGINNING + at + passed * every
    return until - every, until


def _by_the_clock(world: World, arm: str, action: Action, what: str) -> Decision:
    until = datetime.fromisoformat(str(action.inputs["until"]))
    since = datetime.fromisoformat(str(action.inputs["since"]))
    if not _had_begun(world, until):
        return Decision(arm, None, f"nothing had been {what} by {_moment(until)}")
    if not is_over(world, action):
        return ask(world, arm, action, f"{_moment(since)} to {_moment(until)} is over")
    if error := error_of(world, action):
        return Decision(arm, None, f"{_moment(until)}: {error}")
    return Decision(arm, None, f"the next is due at {_moment(until + (until - since))}")


def _had_begun(world: World, until: datetime) -> bool:
    """Whether anything had happened by then: a period before the product was is not looked at."""
    return any(entry.intended_at < until for entry in world.journal.values())


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
