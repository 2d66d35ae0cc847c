"""What adjudicators decided of samples: saved at once, part of the annotations' history later."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import Row, insert, select, update

from everloop.errors import Refused
from everloop.ids import LabelTaskId, SampleId
from everloop.state.database import Database
from everloop.state.label_queue import Answered
from everloop.state.lease import Fence, check_fence
from everloop.state.tables import resolutions

_R = resolutions.c

Why: TypeAlias = Literal["conflict", "correction", "undo"]
"""People disagreed; somebody looked at a label again; a statement was taken back."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """One decision about a sample."""

    id: LabelTaskId
    """What its annotation answers."""
    sample: SampleId
    why: Why
    label: str
    by: str
    comment: str
    at: datetime


class Resolutions:
    """Append-only; the latest of a sample stands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self, sample: SampleId, label: str, *, why: Why, by: str, comment: str, now: datetime
    ) -> Resolution:
        """Save a decision; it is on the disk when this returns, and an annotation once the loop
        records it. Raises `Refused` when nobody signs it."""
        if not by.strip():
            raise Refused("a decision is signed by somebody: name yourself")
        made = Resolution(
            LabelTaskId(f"review-{secrets.token_hex(16)}"), sample, why, label, by, comment, now
        )
        with self._database.write() as connection:
            connection.execute(
                insert(resolutions).values(
                    id=made.id, sample=sample, why=why, label=label, by=by, comment=comment,
                    at=now, recorded=0,
                )
            )  # fmt: skip
        return made

    def standing(self) -> Mapping[SampleId, Resolution]:
        """The latest decision about each sample."""
        with self._database.read() as connection:
            rows = connection.execute(select(resolutions).order_by(_R.at))
            return {row.sample: _one(row) for row in rows}

    def of(self, sample: SampleId) -> tuple[Resolution, ...]:
        """Every decision about a sample, oldest first."""
        query = select(resolutions).where(_R.sample == sample).order_by(_R.at)
        with self._database.read() as connection:
            return tuple(map(_one, connection.execute(query)))

    def unrecorded(self) -> tuple[Answered, ...]:
        """Those that are not annotations yet, oldest first."""
        query = select(resolutions).where(_R.recorded == 0).order_by(_R.at)
        with self._database.read() as connection:
            return tuple(
                Answered(row.id, row.sample, row.label, row.by, row.at, "review")
                for row in connection.execute(query)
            )

    def mark_recorded(self, answers: Iterable[Answered], fence: Fence) -> None:
        """Say that these are annotations now; others among them are passed over."""
        with self._database.write() as connection:
            check_fence(connection, fence)
            for answer in answers:
                if answer.purpose == "review":
                    connection.execute(
                        update(resolutions).where(_R.id == answer.id).values(recorded=1)
                    )


def _one(row: Row[Any]) -> Resolution:
    return Resolution(row.id, row.sample, row.why, row.label, row.by, row.comment, row.at)
