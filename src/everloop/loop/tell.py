"""Telling people at the end of a turn: alarms raised and closed, messages written and sent."""

from collections.abc import Sequence

from everloop.alarm import Alarm
from everloop.alerting.compose import Desk, compose, horizon
from everloop.compute.kept import running_at
from everloop.loop.alarms import LOOKED_BACK, Seen, alarms
from everloop.loop.decision import Decision
from everloop.loop.project import Project, Turn
from everloop.loop.world import World


def tell(project: Project, turn: Turn, world: World, decisions: Sequence[Decision]) -> None:
    """Bring the alarms up to date, write what is due, send what is written; waits for nobody.

    Raises `Conflict` when another controller has taken over.
    """
    failed = project.journal.failed(turn.now - LOOKED_BACK)
    seen = Seen(project.policy, world, decisions, failed)
    project.alarms.sync(alarms(seen), turn.fence, turn.now)
    _write(project, turn)
    project.courier.tend(turn.fence, turn.now)


def tell_trouble(project: Project, turn: Turn, error: Exception) -> None:
    """The same where the turn could not be taken: what stood still stands, and this too.

    Raises `Conflict` when another controller has taken over, `Unavailable` when the state
    database itself is what does not answer.
    """
    trouble = Alarm(
        "turn-given-up", "", "critical", f"the loop cannot take its turns: {error}", "everloop why"
    )
    standing = [raised.alarm for raised in project.alarms.standing()]
    others = [alarm for alarm in standing if alarm.key != trouble.key]
    project.alarms.sync([*others, trouble], turn.fence, turn.now)
    _write(project, turn)
    project.courier.tend(turn.fence, turn.now)


def _write(project: Project, turn: Turn) -> None:
    """Compose the messages that are due, and put them into the outbox."""
    if not project.policy.alerts:
        return
    over = project.alarms.told_and_closed_since(horizon(turn.now))
    raised = (*project.alarms.standing(), *over)
    if not raised:
        return
    desk = Desk(
        product=project.declaration.product,
        link=link_of(project),
        policy=project.policy.alerting,
        rules=project.policy.alerts,
        silences=project.alarms.silenced(turn.now),
        last=project.outbox.last_by_rule(),
        now=turn.now,
    )
    if messages := compose(desk, raised):
        project.outbox.post(messages, turn.fence, turn.now)


def link_of(project: Project) -> str:
    """Where those who are told reach the pages; empty where there are none."""
    if link := project.policy.alerting.link:
        return link.rstrip("/")
    running = running_at(project.layout.pages_address)
    return "" if running is None else running[0]
