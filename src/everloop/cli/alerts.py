"""`everloop alerts`: what somebody should know, who was told, and what nobody wants to hear."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.alarm import LEVELS
from everloop.cli.common import by_option, common_options, emit, table
from everloop.cli.program import Program
from everloop.errors import Refused, Unavailable
from everloop.ids import Json

if TYPE_CHECKING:
    from everloop.state.alarms import Raised
    from everloop.state.outbox import Letter


@click.group("alerts")
def command() -> None:
    """What stands that somebody should know, who was told, and who knows."""


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Those too that ended within a day.")
@click.option("--most", default=50, show_default=True, help="So many rows, the worst first.")
@common_options
@click.pass_obj
def list_alarms(
    program: Program, most: int, path: Path, *, everything: bool, as_json: bool
) -> None:
    """List the alarms that stand, the silences in force and the messages on their way."""
    project = program.open_project(path)
    now = program.clock()
    standing = project.alarms.standing()
    over = project.alarms.closed_since(now - timedelta(days=1)) if everything else ()
    silences, letters = project.alarms.silenced(now), project.outbox.undelivered()
    if as_json:
        emit(
            {
                "alarms": [_alarm(raised) for raised in (*standing, *over)],
                "silences": [
                    {"pattern": s.pattern, "until": s.until.isoformat(), "by": s.by,
                     "because": s.because}
                    for s in silences
                ],
                "undelivered": [_letter(letter) for letter in letters],
            }
        )  # fmt: skip
        return
    table(
        ("alarm", "level", "what", "since", "known to", "look"),
        [
            (r.alarm.key, r.alarm.level, r.alarm.summary,
             f"{r.opened_at:%m-%d %H:%M:%S}" + (" (over)" if r.closed_at else "")
             + (f", came back {r.returns} times" if r.returns else ""),
             r.acked_by or "nobody", r.alarm.command)
            for r in _worst((*standing, *over), most)
        ],
    )  # fmt: skip
    if (count := len(standing) + len(over)) > most:
        click.echo(f"And {count - most:,} more: --most {count}, or --json")
    if silences:
        rows = [(s.pattern, f"{s.until:%m-%d %H:%M:%S}", s.by, s.because) for s in silences]
        table(("silenced", "until", "by", "because"), rows)
    if letters:
        click.echo("On their way:")
        table(
            ("to", "message", "written", "tries", "trouble"),
            [
                (x.target, x.title, f"{x.made_at:%m-%d %H:%M:%S}", x.attempts, x.error or "")
                for x in letters[:most]
            ],
        )
        if len(letters) > most:
            click.echo(f"And {len(letters) - most:,} more.")


@command.command("ack")
@click.argument("names", nargs=-1, required=True)
@common_options
@by_option
@click.pass_obj
def acknowledge(
    program: Program, names: tuple[str, ...], path: Path, by: str, *, as_json: bool
) -> None:
    """Say that you know of alarms, by key or pattern (`*`): nobody is told of them any more."""
    project = program.open_project(path)
    now = program.clock()
    known = project.alarms.acknowledge(names, by, now)
    keys: list[Json] = [raised.alarm.key for raised in known]
    project.audit.append("acknowledge alarms", by, {"names": list(names), "count": len(keys)}, now)
    emit({"acknowledged": keys}) if as_json else click.echo(f"{len(keys)} acknowledged by {by}.")


@command.command("silence")
@click.argument("pattern")
@click.option("--for", "lasts", default="1h", show_default=True, help="How long, such as 30m, 2h.")
@click.option("--because", default="", help="Why, for whoever finds the silence.")
@click.option("--end", is_flag=True, help="End the silences of this pattern instead.")
@common_options
@by_option
@click.pass_obj
def silence(
    program: Program, pattern: str, lasts: str, because: str, path: Path, by: str, *,
    end: bool, as_json: bool,
) -> None:  # fmt: skip
    """Tell nobody of alarms that fit PATTERN (`*` stands for anything) for a while.

    They are still listed; one that stands when the silence ends is told then.
    """
    from everloop.policy import read_duration

    project = program.open_project(path)
    now = program.clock()
    if end:
        count = project.alarms.unsilence(pattern, now)
        project.audit.append("end silences", by, {"pattern": pattern, "count": count}, now)
        emit({"ended": count}) if as_json else click.echo(f"{count} silences ended.")
        return
    try:
        until = now + read_duration(lasts)
    except ValueError as error:
        raise Refused(f"--for {lasts}: {error}") from error
    made = project.alarms.silence(pattern, until, by, because, now)
    told: dict[str, Json] = {"pattern": pattern, "until": until.isoformat(), "because": because}
    project.audit.append("silence alarms", by, told, now)
    emit({"id": made.id, **told}) if as_json else (
        click.echo(f"{pattern} is silent until {until:%Y-%m-%d %H:%M:%S} UTC.")
    )


@command.command("test")
@click.argument("names", nargs=-1)
@common_options
@click.pass_obj
def test(program: Program, names: tuple[str, ...], path: Path, *, as_json: bool) -> None:
    """Send a test message to receivers, by name; to all that rules name by default."""
    from everloop.alerting.trial import try_receiver

    project = program.open_project(path)
    rules = project.policy.alerts
    named = [name for rule in rules for name in (*rule.to, *rule.escalate_to)]
    known = dict.fromkeys((*named, *project.policy.report.to))
    if missing := [name for name in names if name not in known]:
        raise Refused(f"no rule names {missing[0]!r}; named: {', '.join(known) or 'none'}")
    if not known:
        raise Refused("no rule of [[alerts]] names a receiver: see docs/alerts.md")
    product, now = project.declaration.product, program.clock()
    found = {
        name: try_receiver(project.courier, name, product, now) for name in (names or tuple(known))
    }
    if as_json:
        emit({name: {"delivered": why is None, "error": why} for name, why in found.items()})
    else:
        table(("receiver", "came of it"), [(n, why or "delivered") for n, why in found.items()])
    if any(found.values()):
        raise Unavailable(f"{sum(map(bool, found.values()))} of {len(found)} were not reached")


def _worst(raised: "Sequence[Raised]", most: int) -> "Sequence[Raised]":
    """Those that stand before those that are over, the most urgent first, the oldest first."""
    return sorted(
        raised, key=lambda r: (r.closed_at is not None, -LEVELS.index(r.alarm.level), r.opened_at)
    )[:most]


def _alarm(raised: "Raised") -> dict[str, Json]:
    alarm = raised.alarm
    return {
        "key": alarm.key,
        "what": alarm.what,
        "level": alarm.level,
        "summary": alarm.summary,
        "command": alarm.command,
        "page": alarm.page,
        "opened_at": raised.opened_at.isoformat(),
        "closed_at": None if raised.closed_at is None else raised.closed_at.isoformat(),
        "returns": raised.returns,
        "acknowledged_by": raised.acked_by,
        "told": {name: at.isoformat() for name, at in raised.marks.items()},
    }


def _letter(letter: "Letter") -> dict[str, Json]:
    return {
        "id": letter.id,
        "to": letter.target,
        "title": letter.title,
        "made_at": letter.made_at.isoformat(),
        "attempts": letter.attempts,
        "error": letter.error,
        "next_attempt": letter.not_before.isoformat(),
    }
