"""Who approved or rejected which bundle."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select

from everloop.ids import BundleId
from everloop.state.database import Database
from everloop.state.tables import decisions


@dataclass(frozen=True, slots=True)
class ApprovalDecision:
    """One decision; the latest of a bundle stands, all of them are kept."""

    bundle: BundleId
    approved: bool
    by: str
    comment: str
    at: datetime


class Decisions:
    """Approvals and rejections, append-only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self, bundle: BundleId, *, approved: bool, by: str, comment: str, now: datetime
    ) -> None:
        """Add a decision; the same as the standing one by the same person adds nothing."""
        with self._database.write() as connection:
            query = select(decisions).where(decisions.c.bundle == bundle)
            last = connection.execute(query.order_by(decisions.c.id.desc()).limit(1)).one_or_none()
            if last is not None and (bool(last.approved), last.by) == (approved, by):
                return
            connection.execute(
                insert(decisions).values(
                    bundle=bundle, approved=int(approved), by=by, comment=comment, at=now
                )
            )

    def of(self, bundle: BundleId) -> ApprovalDecision | None:
        """The standing decision about a bundle."""
        return self.all().get(bundle)

    def approvals(self, bundle: BundleId) -> tuple[ApprovalDecision, ...]:
        """The approvals of a bundle since it was last rejected, oldest first."""
        query = select(decisions).where(decisions.c.bundle == bundle).order_by(decisions.c.id)
        found: list[ApprovalDecision] = []
        with self._database.read() as connection:
            for row in connection.execute(query):
                found = [*found, _decision(row)] if row.approved else []
        return tuple(found)

    def all(self) -> Mapping[BundleId, ApprovalDecision]:
        """The standing decision about each bundle."""
        with self._database.read() as connection:
            rows = connection.execute(select(decisions).order_by(decisions.c.id)).all()
        return {row.bundle: _decision(row) for row in rows}


def _decision(row: Row[Any]) -> ApprovalDecision:
    return ApprovalDecision(row.bundle, bool(row.approved), row.by, row.comment, row.at)
