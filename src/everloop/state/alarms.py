"""Alarms: which stand, who was told, who knows of them, and what people want to hear nothing of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from sqlalchemy import Connection, Row, Text, bindparam, cast, func, insert, select, update

from everloop.alarm import Alarm
from everloop.errors import Refused
from everloop.state.database import Database
from everloop.state.lease import Fence, check_fence
from everloop.state.tables import alarms, silences

RETURNS = timedelta(hours=1)
"""What is seen again within this of its end has come back: it comes and goes."""
UNSTEADY = 5
"""So many returns, and it is one lasting trouble, however shortly it stands each time."""
_AT_ONCE = 500
"""Keys in one question to the database."""


@dataclass(frozen=True, slots=True)
class Raised:
    """One alarm, from when it was raised until it is over."""

    id: int
    alarm: Alarm
    opened_at: datetime
    closed_at: datetime | None
    acked_at: datetime | None
    acked_by: str | None
    marks: Mapping[str, datetime]
    """When which message about it was written, such as `alert/operations`."""
    returns: int = 0
    """How often it came back since, each time shortly after it was over."""

    @property
    def is_ended(self) -> bool:
        """Whether anybody was told of its end."""
        return any(name.startswith("resolved/") for name in self.marks)


@dataclass(frozen=True, slots=True)
class Silence:
    """Alarms that nobody is told of for a while."""

    id: int
    pattern: str
    until: datetime
    by: str
    because: str

    def covers(self, alarm: Alarm) -> bool:
        """Whether it is about this alarm."""
        return matches(alarm, self.pattern)


def matches(alarm: Alarm, pattern: str) -> bool:
    """Whether a pattern (`*` stands for anything) names the alarm's kind or its key.

    >>> down = Alarm("service-down", "", "critical", "", "")
    >>> matches(down, "service-*"), matches(down, "signal:*")
    (True, False)
    """
    return fnmatchcase(alarm.what, pattern) or fnmatchcase(alarm.key, pattern)


class Alarms:
    """Every alarm there was; the standing ones follow what the loop sees."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sync(self, seen: Iterable[Alarm], fence: Fence, now: datetime) -> None:
        """Raise what is new, bring what stands up to date, close what is seen no more."""
        wanted = {alarm.key: alarm for alarm in seen}
        standing = {raised.alarm.key: raised for raised in self.standing()}
        changed = {
            key: alarm
            for key, alarm in wanted.items()
            if key not in standing or standing[key].alarm != alarm
        }
        gone = [raised.id for key, raised in standing.items() if key not in wanted]
        # Most looks find nothing new: they take no lock.
        if not changed and not gone:
            return
        with self._database.write() as connection:
            check_fence(connection, fence)
            over = alarms.c.id.in_(gone)
            connection.execute(update(alarms).where(over).values(closed_at=now))
            came = {key: alarm for key, alarm in changed.items() if key not in standing}
            before = _lately(connection, came, now)
            stands_on = {key for key, known in before.items() if not known.is_ended}
            _change(
                connection,
                [
                    {"one": standing[k].id, "told": asdict(changed[k])}
                    for k in changed
                    if k in standing
                ],
            )
            _change(connection, [_back(before[key], came[key], now) for key in stands_on])
            rows = [
                {"key": key, "told": asdict(alarm), "opened_at": now, "marks": {},
                 "returns": before[key].returns + 1 if key in before else 0}
                for key, alarm in came.items()
                if key not in stands_on
            ]  # fmt: skip
            if rows:
                connection.execute(insert(alarms), rows)

    def standing(self) -> tuple[Raised, ...]:
        """Those that stand, oldest first."""
        return self._read(select(alarms).where(alarms.c.closed_at.is_(None)).order_by(alarms.c.id))

    def closed_since(self, moment: datetime) -> tuple[Raised, ...]:
        """Those that ended at or after a moment, oldest first."""
        query = select(alarms).where(alarms.c.closed_at >= moment)
        return self._read(query.order_by(alarms.c.id))

    def told_and_closed_since(self, moment: datetime) -> tuple[Raised, ...]:
        """Those of them that somebody was told of: of a storm that nobody heard of, none."""
        query = select(alarms).where(alarms.c.closed_at >= moment)
        told = cast(alarms.c.marks, Text) != "{}"
        return self._read(query.where(told).order_by(alarms.c.id))

    def acknowledge(self, names: Sequence[str], by: str, now: datetime) -> tuple[Raised, ...]:
        """Note that somebody knows of standing alarms, named by key or pattern; those are returned.

        Raises `Refused` when a name fits none.
        """
        standing = self.standing()
        found = [r for r in standing if any(matches(r.alarm, name) for name in names)]
        if missing := [n for n in names if not any(matches(r.alarm, n) for r in standing)]:
            told = ", ".join(raised.alarm.key for raised in standing) or "none"
            raise Refused(f"no alarm {missing[0]!r} stands; standing: {told}")
        new = [raised.id for raised in found if raised.acked_at is None]
        here = alarms.c.id.in_(new) & alarms.c.acked_at.is_(None)
        with self._database.write() as connection:
            connection.execute(update(alarms).where(here).values(acked_at=now, acked_by=by))
        return tuple(raised for raised in found if raised.id in new)

    def silence(
        self, pattern: str, until: datetime, by: str, because: str, now: datetime
    ) -> Silence:
        """Tell nobody of alarms that fit a pattern, until a moment."""
        if not because.strip():
            raise Refused("say why: whoever finds the silence will want to know")
        values = {"pattern": pattern, "until": until, "by": by, "because": because, "at": now}
        with self._database.write() as connection:
            made = connection.execute(insert(silences).values(**values).returning(silences.c.id))
            return Silence(int(made.scalar_one()), pattern, until, by, because)

    def unsilence(self, pattern: str, now: datetime) -> int:
        """End the silences of a pattern; how many there were."""
        here = (silences.c.pattern == pattern) & (silences.c.until > now)
        with self._database.write() as connection:
            return connection.execute(update(silences).where(here).values(until=now)).rowcount

    def silenced(self, now: datetime) -> tuple[Silence, ...]:
        """The silences in force."""
        query = select(silences).where(silences.c.until > now).order_by(silences.c.id)
        with self._database.read() as connection:
            return tuple(
                Silence(row.id, row.pattern, row.until, row.by, row.because)
                for row in connection.execute(query)
            )

    def _read(self, query: Any) -> tuple[Raised, ...]:
        with self._database.read() as connection:
            return tuple(_raised(row) for row in connection.execute(query))


def mark(connection: Connection, ids: Iterable[int], name: str, now: datetime) -> None:
    """Note on alarms that a message about them is written; in the transaction that writes it."""
    query = select(alarms.c.id, alarms.c.marks).where(alarms.c.id.in_(list(ids)))
    rows = [
        {"one": row.id, "marked": {**row.marks, name: now.isoformat()}}
        for row in connection.execute(query).all()
    ]
    if rows:
        here = alarms.c.id == bindparam("one")
        connection.execute(update(alarms).where(here).values(marks=bindparam("marked")), rows)


def _lately(connection: Connection, keys: Iterable[str], now: datetime) -> dict[str, Raised]:
    """Of each key the latest alarm, where it ended shortly before."""
    found: dict[str, Raised] = {}
    asked = list(keys)
    for start in range(0, len(asked), _AT_ONCE):
        some = alarms.c.key.in_(asked[start : start + _AT_ONCE])
        latest = select(func.max(alarms.c.id)).where(some).group_by(alarms.c.key)
        query = select(alarms).where(alarms.c.id.in_(latest), alarms.c.closed_at > now - RETURNS)
        found |= {row.key: _raised(row) for row in connection.execute(query)}
    return found


def _back(known: Raised, alarm: Alarm, now: datetime) -> dict[str, Any]:
    """What nobody was told the end of stands on: what comes and goes is no new alarm each time."""
    returns = known.returns + 1
    # What nobody was told of waits anew for others, unless it comes and goes all the time.
    since = known.opened_at if known.marks or returns >= UNSTEADY else now
    return {"one": known.id, "told": asdict(alarm), "closed_at": None, "opened_at": since,
            "returns": returns}  # fmt: skip


def _change(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Alarms by id (`one`), all with the same columns."""
    if rows:
        values: dict[str, Any] = {name: bindparam(name) for name in rows[0] if name != "one"}
        here = alarms.c.id == bindparam("one")
        connection.execute(update(alarms).where(here).values(**values), list(rows))


def _raised(row: Row[Any]) -> Raised:
    return Raised(
        id=row.id,
        alarm=Alarm(**row.told),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        acked_at=row.acked_at,
        acked_by=row.acked_by,
        marks={name: datetime.fromisoformat(at) for name, at in row.marks.items()},
        returns=row.returns,
    )
