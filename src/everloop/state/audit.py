"""The audit log: what was done that must be proved later; each entry seals the one before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, insert, select

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
        query = select(audit).order_by(audit.c.number)
        return self._read(query if what is None else query.where(audit.c.what == what))

    def newest(self, most: int, before: int | None = None) -> Sequence[AuditEntry]:
        """The newest entries, newest first: of all, or of those before a number."""
        query = select(audit).order_by(audit.c.number.desc()).limit(most)
        return self._read(query if before is None else query.where(audit.c.number < before))

    def count(self) -> int:
        """How many entries there are."""
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(audit)).scalar_one()

    def check(self, newest: int | None = None) -> None:
        """Raise `Refused` naming the first entry whose seal does not fit.

        `newest`: only so many are checked, beginning from the seal of the one before them, and that
        none is missing among all.
        """
        total = self.count()
        if newest is None or newest >= total:
            check_seals(self.entries())
        else:
            first, *entries = reversed(self.newest(newest + 1))
            check_seals(entries, total - newest + 1, first.seal)

    def _read(self, query: Select[Any]) -> list[AuditEntry]:
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [AuditEntry(r.number, r.at, r.by, r.what, r.told, r.seal) for r in rows]


def check_seals(entries: Iterable[AuditEntry], number: int = 1, before: str = _FIRST) -> None:
    """Raise `Refused` naming the first entry whose seal does not fit, oldest first.

    The first of them has that number, and the one before it that seal.
    """
    for wanted_number, entry in enumerate(entries, start=number):
        wanted = _seal(before, wanted_number, entry.at, entry.by, entry.what, entry.told)
        if entry.number != wanted_number or entry.seal != wanted:
            raise Refused(f"the audit log was changed: entry {wanted_number} does not fit its seal")
        before = entry.seal


def _seal(
    before: str, number: int, at: datetime, by: str, what: str, told: Mapping[str, Json]
) -> str:
    moment = round(at.timestamp() * 1_000_000)
    return digest_json([before, number, moment, by, what, dict(told)])
