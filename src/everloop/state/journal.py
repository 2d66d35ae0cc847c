"""The journal: what the loop intended, and what came of it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Row, Select, case, func, insert, select, type_coerce, update

from everloop.action import Action, Entry, Outcome
from everloop.errors import Conflict
from everloop.ids import ActionKey, Json
from everloop.state.database import Database
from everloop.state.lease import Fence, check_fence
from everloop.state.tables import journal


class Journal:
    """One row an Action key; every write needs the newest fencing token."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def intend(self, action: Action, arm: str, reason: str, fence: Fence, now: datetime) -> Entry:
        """Write down that the Action is about to be attempted; what is known of it is returned."""
        with self._database.write() as connection:
            check_fence(connection, fence)
            found = connection.execute(_one(action.key)).one_or_none()
            if found is not None:
                return _entry(found)
            connection.execute(
                insert(journal).values(
                    key=action.key,
                    kind=action.kind,
                    arm=arm,
                    inputs=dict(action.inputs),
                    reason=reason,
                    intended_at=now,
                    failures=0,
                )
            )
        return Entry(action, arm, reason, now, None, 0, None, None)

    def finish(self, key: ActionKey, outcome: Outcome, fence: Fence, now: datetime) -> None:
        """Write down an attempt's outcome. The first final one stands; later ones change nothing.

        Raises `Conflict` when the Action was never intended.
        """
        with self._database.write() as connection:
            check_fence(connection, fence)
            found = connection.execute(_one(key)).one_or_none()
            if found is None:
                raise Conflict(f"{key} was never intended")
            if found.final:
                return
            failed = not outcome.final and outcome.error is not None
            delay = outcome.delay
            connection.execute(
                update(journal)
                .where(journal.c.key == key)
                .values(
                    final=int(outcome.final),
                    delay=None if delay is None else delay.total_seconds(),
                    not_before=None if delay is None else now + delay,
                    result=dict(outcome.result),
                    error=outcome.error,
                    failures=found.failures + failed,
                    finished_at=now if outcome.final else None,
                )
            )

    def amend(
        self, kind: str, change: Callable[[Mapping[str, Json]], Mapping[str, Json] | None]
    ) -> int:
        """Change results of a kind where the law wants it: what is forgotten is in none.

        `change` gets a result and gives another, or None where it stays. How many were changed.
        """
        query = select(journal.c.key, journal.c.result).where(journal.c.kind == kind)
        with self._database.write() as connection:
            rows = connection.execute(query.where(journal.c.result.is_not(None))).all()
            amended = [(row.key, change(row.result)) for row in rows if row.result]
            found = [(key, result) for key, result in amended if result is not None]
            for key, result in found:
                here = journal.c.key == key
                connection.execute(update(journal).where(here).values(result=dict(result)))
        return len(found)

    def entry(self, key: ActionKey) -> Entry | None:
        """What is known of one key."""
        with self._database.read() as connection:
            found = connection.execute(_one(key)).one_or_none()
        return None if found is None else _entry(found)

    def entries(self, kinds: Iterable[str]) -> Mapping[ActionKey, Entry]:
        """All entries of these kinds."""
        return self._read(select(journal).where(journal.c.kind.in_(list(kinds))))

    def latest(self, kind: str, most: int) -> tuple[Entry, ...]:
        """The newest entries of a kind, newest first."""
        query = select(journal).where(journal.c.kind == kind)
        return tuple(self._read(query.order_by(*_NEWEST_FIRST).limit(most)).values())

    def unfinished(self) -> Mapping[ActionKey, Entry]:
        """All entries without a final outcome."""
        return self._read(
            select(journal).where((journal.c.final.is_(None)) | (journal.c.final == 0))
        )

    def failed(self, since: datetime) -> tuple[Entry, ...]:
        """The Actions that were given up at or after a moment, oldest first."""
        here = journal.c.error.is_not(None) & (journal.c.finished_at >= since)
        query = select(journal).where(here, journal.c.final == 1)
        return tuple(self._read(query.order_by(journal.c.finished_at)).values())

    def between(self, since: datetime, until: datetime) -> tuple[Entry, ...]:
        """What was intended from `since` to before `until`, oldest first."""
        here = (journal.c.intended_at >= since) & (journal.c.intended_at < until)
        query = select(journal).where(here).order_by(journal.c.intended_at, journal.c.key)
        return tuple(self._read(query).values())

    def tally(self) -> tuple[tuple[str, str, int, float], ...]:
        """Of each kind by outcome (`done`, `failed`, `open`): how many, and seconds in sum."""
        outcome = case(
            (journal.c.final.is_(None) | (journal.c.final == 0), "open"),
            (journal.c.error.is_not(None), "failed"),
            else_="done",
        ).label("outcome")
        # As the microseconds they are kept as: a moment cannot be subtracted from another in SQL.
        lasted = func.sum(
            type_coerce(journal.c.finished_at, BigInteger)
            - type_coerce(journal.c.intended_at, BigInteger)
        )
        query = select(journal.c.kind, outcome, func.count(), lasted)
        with self._database.read() as connection:
            rows = connection.execute(query.group_by(journal.c.kind, "outcome"))
            return tuple((kind, came, n, (micros or 0) / 1e6) for kind, came, n, micros in rows)

    def timeline(self, most: int) -> tuple[Entry, ...]:
        """The newest entries of all kinds, oldest of them first."""
        query = select(journal).order_by(*_NEWEST_FIRST).limit(most)
        return tuple(reversed(self._read(query).values()))

    def _read(self, query: Select[Any]) -> dict[ActionKey, Entry]:
        with self._database.read() as connection:
            entries = [_entry(row) for row in connection.execute(query)]
        return {entry.action.key: entry for entry in entries}


_NEWEST_FIRST = (journal.c.intended_at.desc(), journal.c.key.desc())


def _one(key: ActionKey) -> Select[Any]:
    return select(journal).where(journal.c.key == key)


def _entry(row: Row[Any]) -> Entry:
    outcome = None
    if row.final is not None:
        delay = None if row.delay is None else timedelta(seconds=row.delay)
        outcome = Outcome(bool(row.final), delay, row.result, row.error)
    return Entry(
        action=Action(row.kind, row.inputs),
        arm=row.arm,
        reason=row.reason,
        intended_at=row.intended_at,
        not_before=row.not_before,
        failures=row.failures,
        outcome=outcome,
        finished_at=row.finished_at,
    )
