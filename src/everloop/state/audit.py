"""The audit log: what was done that must be proved later; each entry seals the one before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from everloop.errors import Refused
from everloop.ids import Json
from everloop.state.database import Database
from everloop.state.tables import audit
from everloop_runtime.ids import digest_json

_FIRST = "0" * 64


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry; `seal` is the SHA-256 of all that is in it and of the seal before."""

    number: int
    at: datetime
    by: str
    what: str
    told: Mapping[str, Json]
    seal: str


class Audit:
    """Only grows. Whoever changes or removes an entry breaks all seals after it.

    The newest seal, kept somewhere else, proves that nothing was cut off at the end.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, what: str, by: str, told: Mapping[str, Json], now: datetime) -> AuditEntry:
        """Write an entry; it is on the disk when this returns."""
        with self._database.write() as connection:
            newest = select(audit.c.number, audit.c.seal).order_by(audit.c.number.desc()).limit(1)
            last = connection.execute(newest).one_or_none()
            number, before = (0, _FIRST) if last is None else (last.number, last.seal)
            seal = _seal(before, number + 1, now, by, what, told)
            entry = AuditEntry(number + 1, now, by, what, told, seal)
            connection.execute(
                insert(audit).values(
                    number=entry.number, at=now, by=by, what=what, told=dict(told), seal=seal
                )
            )
        return entry

    def entries(self, what: str | None = None) -> Sequence[AuditEntry]:
        """All entries, or those of one kind, oldest first."""
        with self._database.read() as connection:
            found = _entries(connection)
        return [entry for entry in found if what in (None, entry.what)]

    def check(self) -> None:
        """Raise `Refused` naming the first entry whose seal does not fit."""
        before = _FIRST
        for number, entry in enumerate(self.entries(), start=1):
            wanted = _seal(before, number, entry.at, entry.by, entry.what, entry.told)
            if entry.number != number or entry.seal != wanted:
                raise Refused(f"the audit log was changed: entry {number} does not fit its seal")
            before = entry.seal


def _entries(connection: Connection) -> list[AuditEntry]:
    rows = connection.execute(select(audit).order_by(audit.c.number))
    return [AuditEntry(r.number, r.at, r.by, r.what, r.told, r.seal) for r in rows]


def _seal(
    before: str, number: int, at: datetime, by: str, what: str, told: Mapping[str, Json]
) -> str:
    moment = round(at.timestamp() * 1_000_000)
    return digest_json([before, number, moment, by, what, dict(told)])
