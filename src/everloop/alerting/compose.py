"""From alarms to messages: grouped, silenced, escalated; a pure function of what stands."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from everloop.alarm import LEVELS, Level
from everloop.ids import Json
from everloop.policy import AlertingPolicy, AlertRule
from everloop.state.alarms import RETURNS, Raised, Silence, matches
from everloop.state.outbox import Message, MessageKind

_SHOWN = 20
"""Alarms that a message tells one by one; of the rest, how many there are of each kind."""
_MOST_DOUBLINGS = 20
_REMEMBERED = timedelta(days=1)
"""An end that could not be told for so long is no news any more."""


@dataclass(frozen=True, slots=True)
class Desk:
    """All that composing goes by."""

    product: str
    link: str
    """Where the pages are; empty when nobody knows."""
    policy: AlertingPolicy
    rules: Sequence[AlertRule]
    silences: Sequence[Silence]
    last: Mapping[str, datetime]
    """When each rule told something last."""
    now: datetime


def compose(desk: Desk, raised: Sequence[Raised]) -> tuple[Message, ...]:
    """The messages that are due. `raised`: what stands, and what ended lately."""
    told = [r for r in raised if not any(s.covers(r.alarm) for s in desk.silences)]
    found = []
    for rule in desk.rules:
        mine = [r for r in told if _heard(rule, r)]
        found += [_news(desk, rule, mine), _ends(desk, rule, mine), _louder(desk, rule, mine)]
    return tuple(message for message in found if message is not None)


def horizon(now: datetime) -> datetime:
    """Alarms that ended before this are not looked at any more."""
    return now - _REMEMBERED


def _heard(rule: AlertRule, raised: Raised) -> bool:
    loud = LEVELS.index(raised.alarm.level) >= LEVELS.index(rule.level)
    return loud and any(matches(raised.alarm, pattern) for pattern in rule.what)


def _news(desk: Desk, rule: AlertRule, mine: Sequence[Raised]) -> Message | None:
    mark = f"alert/{rule.name}"
    # What somebody knows of already, and what was over before it was told, is no news.
    new = [r for r in mine if r.closed_at is None and r.acked_at is None and mark not in r.marks]
    if not new or not _may_speak(desk, rule):
        return None
    if min(r.opened_at for r in new) + desk.policy.group > desk.now:
        return None
    return _message(desk, rule, "alert", rule.to, new)


def _ends(desk: Desk, rule: AlertRule, mine: Sequence[Raised]) -> Message | None:
    if not rule.resolved or not _may_speak(desk, rule):
        return None
    told, ended = f"alert/{rule.name}", f"resolved/{rule.name}"
    over = [
        r
        for r in mine
        if r.closed_at is not None and r.alarm.passes and told in r.marks and ended not in r.marks
    ]
    # Gathered as alarms are; one that comes back meanwhile stands on, and was told already.
    over = [r for r in over if r.closed_at and r.closed_at + _quiet(desk, r) <= desk.now]
    return _message(desk, rule, "resolved", rule.to, over) if over else None


def _quiet(desk: Desk, raised: Raised) -> timedelta:
    """How long it must be gone before its end is told: the longer, the oftener it came back."""
    doubled = desk.policy.group * (1 << min(raised.returns, _MOST_DOUBLINGS))
    return max(desk.policy.group, min(doubled, RETURNS))


def _louder(desk: Desk, rule: AlertRule, mine: Sequence[Raised]) -> Message | None:
    told, louder = f"alert/{rule.name}", f"escalation/{rule.name}"
    waiting = [
        r
        for r in mine
        if r.closed_at is None
        and r.acked_at is None
        and louder not in r.marks
        and told in r.marks
        and r.marks[told] + rule.escalate_after <= desk.now
    ]
    if not waiting or not rule.escalate_to:
        return None
    return _message(desk, rule, "escalation", rule.escalate_to, waiting)


def _may_speak(desk: Desk, rule: AlertRule) -> bool:
    last = desk.last.get(rule.name)
    # A clock that jumped back must not silence a rule until it has caught up.
    return last is None or not last <= desk.now < last + desk.policy.interval


def _message(
    desk: Desk, rule: AlertRule, kind: MessageKind, to: tuple[str, ...], about: Sequence[Raised]
) -> Message:
    ordered = sorted(about, key=lambda r: (-LEVELS.index(r.alarm.level), r.opened_at, r.id))
    return Message(
        rule=rule.name,
        kind=kind,
        to=to,
        title=_title(desk.product, kind, ordered),
        body=_body(desk, rule, kind, ordered),
        facts={
            "product": desk.product,
            "rule": rule.name,
            "kind": kind,
            "count": len(ordered),
            "level": ordered[0].alarm.level,
            "alarms": [_told(desk, raised) for raised in ordered[:_SHOWN]],
        },
        alarms=tuple(raised.id for raised in ordered),
    )


def _title(product: str, kind: MessageKind, ordered: Sequence[Raised]) -> str:
    first = ordered[0].alarm
    begin = {"alert": first.level, "resolved": "over", "escalation": "nobody answered"}[kind]
    if len(ordered) == 1:
        return f"[{product}] {begin}: {first.summary}"[:200]
    kinds = Counter(raised.alarm.what for raised in ordered)
    told = ", ".join(f"{count} {what}" for what, count in kinds.most_common(3))
    more = f" and {len(kinds) - 3} other kinds" if len(kinds) > 3 else ""
    return f"[{product}] {begin}: {len(ordered)} alarms: {told}{more}"[:200]


def _body(desk: Desk, rule: AlertRule, kind: MessageKind, ordered: Sequence[Raised]) -> str:
    parts = [_HEADS[kind](rule, desk)]
    for raised in ordered[:_SHOWN]:
        alarm = raised.alarm
        lines = [f"{alarm.level.upper()}  {alarm.summary}", f"  since {_moment(raised.opened_at)}"]
        if raised.returns:
            lines[-1] += f", came back {raised.returns} times"
        if kind == "resolved":
            lines[-1] += f", over {_moment(raised.closed_at)}"
        else:
            lines.append(f"  look: {alarm.command}")
            if desk.link:
                lines.append(f"        {desk.link}{alarm.page}")
            lines.append(f"  got it: everloop alerts ack '{alarm.key}'")
        parts.append("\n".join(lines))
    if rest := Counter(raised.alarm.what for raised in ordered[_SHOWN:]):
        told = ", ".join(f"{count} {what}" for what, count in rest.most_common())
        parts.append(f"And {rest.total()} more: {told}. All of them: everloop alerts list")
    return "\n\n".join(part for part in parts if part)


_HEADS: Mapping[MessageKind, Callable[[AlertRule, Desk], str]] = {
    "alert": lambda _rule, _desk: "",
    "resolved": lambda _rule, _desk: "This is over:",
    "escalation": lambda rule, _desk: (
        f"{', '.join(rule.to)} was told "
        f"{int(rule.escalate_after.total_seconds() // 60)} minutes ago or more, "
        "and nobody has acknowledged:"
    ),
}


def _told(desk: Desk, raised: Raised) -> dict[str, Json]:
    alarm = raised.alarm
    level: Level = alarm.level
    return {
        "key": alarm.key,
        "what": alarm.what,
        "level": level,
        "summary": alarm.summary,
        "command": alarm.command,
        "link": f"{desk.link}{alarm.page}" if desk.link else None,
        "opened_at": raised.opened_at.isoformat(),
        "closed_at": None if raised.closed_at is None else raised.closed_at.isoformat(),
        "returns": raised.returns,
    }


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"
