"""The label tasks of people: taken under a lease, answered durably, recorded once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from sqlalchemy import Row, func, insert, or_, select, update

from everloop.errors import Conflict, Refused
from everloop.ids import LabelTaskId, SampleId
from everloop.state.database import Database
from everloop.state.lease import Fence, check_fence
from everloop.state.tables import label_tasks

_T = label_tasks.c


Purpose: TypeAlias = Literal["train", "holdout", "audit"]
"""To learn from, to evaluate on, or drawn at random to measure the live model."""


@dataclass(frozen=True, slots=True)
class LabelTask:
    """One sample waiting for a person."""

    id: LabelTaskId
    sample: SampleId
    round: str
    purpose: Purpose
    suggestion: str | None
    """The pre-label that is offered."""
    suggested_by: str | None
    suggestion_confidence: float | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """A task that a person has answered."""

    id: LabelTaskId
    sample: SampleId
    label: str
    by: str
    at: datetime


class LabelQueue:
    """A task is `open`, `answered`, `recorded` (it is an annotation) or `skipped`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, tasks: Iterable[LabelTask], fence: Fence) -> None:
        """Add tasks, all or none; those that are there already stay as they are."""
        with self._database.write() as connection:
            check_fence(connection, fence)
            known = set(connection.execute(select(_T.id)).scalars())
            position = connection.execute(select(func.max(_T.position))).scalar() or 0
            rows = [
                {
                    "id": task.id,
                    "sample": task.sample,
                    "round": task.round,
                    "purpose": task.purpose,
                    "suggestion": task.suggestion,
                    "suggested_by": task.suggested_by,
                    "suggestion_confidence": task.suggestion_confidence,
                    "created_at": task.created_at,
                    "status": "open",
                    "position": position + 1 + index,
                }
                for index, task in enumerate(tasks)
                if task.id not in known
            ]
            if rows:
                connection.execute(insert(label_tasks), rows)

    def next(self, by: str, now: datetime, lease: timedelta) -> LabelTask | None:
        """The first task that nobody else holds, held for `by` until `now + lease`."""
        free = or_(
            _T.leased_until.is_(None),
            _T.leased_until <= now,
            # Written before the clock jumped back.
            _T.leased_until > now + lease,
            _T.leased_by == by,
        )
        query = select(label_tasks).where(_T.status == "open", free).order_by(_T.position).limit(1)
        with self._database.write() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            connection.execute(
                update(label_tasks)
                .where(_T.id == row.id)
                .values(leased_by=by, leased_until=now + lease)
            )
        return _task(row)

    def answer(self, task: LabelTaskId, label: str, by: str, now: datetime) -> None:
        """Save an answer; it is on the disk when this returns.

        The same answer again changes nothing, another answer replaces one that is not recorded
        yet. Raises `Refused` for an unknown task and `Conflict` for one that is recorded.
        """
        self._close(task, now, status="answered", label=label, answered_by=by)

    def skip(self, task: LabelTaskId, reason: str, by: str, now: datetime) -> None:
        """Put a task aside for good, with the reason. Raises as `answer` does."""
        self._close(task, now, status="skipped", skip_reason=reason, answered_by=by)

    def _close(self, task: LabelTaskId, now: datetime, **values: str) -> None:
        with self._database.write() as connection:
            row = connection.execute(select(label_tasks).where(_T.id == task)).one_or_none()
            if row is None:
                raise Refused(f"there is no label task {task!r}; everloop label next gives one")
            if row.status == "recorded":
                if row.label == values.get("label"):
                    return
                raise Conflict(f"task {task[:8]} is recorded as {row.label!r} already")
            connection.execute(
                update(label_tasks).where(_T.id == task).values(answered_at=now, **values)
            )

    def counts(self, round: str | None = None) -> Mapping[str, int]:  # noqa: A002 - the noun
        """How many tasks there are of each status, in one round or in all."""
        query = select(_T.status, func.count()).group_by(_T.status)
        if round is not None:
            query = query.where(_T.round == round)
        with self._database.read() as connection:
            return {row.status: row[1] for row in connection.execute(query)}

    def oldest_open(self) -> datetime | None:
        """When the oldest open task was made."""
        query = select(_T.created_at).where(_T.status == "open").order_by(_T.position).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def latest_audit(self, bundle: str) -> tuple[datetime, int, int] | None:
        """Of the newest audit of a bundle's answers: when, how many answered, how many right."""
        mine = (_T.purpose == "audit") & (_T.suggested_by == bundle)
        newest = select(_T.round, _T.created_at).where(mine).order_by(_T.position.desc()).limit(1)
        done = _T.status.in_(("answered", "recorded"))
        with self._database.read() as connection:
            found = connection.execute(newest).one_or_none()
            if found is None:
                return None
            this = mine & done & (_T.round == found.round)
            answered = connection.execute(select(func.count()).where(this)).scalar_one()
            right = connection.execute(
                select(func.count()).where(this, _T.label == _T.suggestion)
            ).scalar_one()
        return found.created_at, answered, right

    def answered_unrecorded(self) -> tuple[Answered, ...]:
        """The answers that are not annotations yet, in the order of their tasks."""
        query = select(label_tasks).where(_T.status == "answered").order_by(_T.position)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Answered(row.id, row.sample, row.label, row.answered_by, row.answered_at)
            for row in rows
        )

    def mark_recorded(self, answers: Iterable[Answered], fence: Fence) -> None:
        """Say that these answers are annotations now.

        A task whose answer was changed in the meantime stays answered, to be recorded anew.
        """
        with self._database.write() as connection:
            check_fence(connection, fence)
            for answer in answers:
                same = (_T.id == answer.id) & (_T.label == answer.label)
                connection.execute(
                    update(label_tasks)
                    .where(same, _T.answered_by == answer.by, _T.status == "answered")
                    .values(status="recorded")
                )


def _task(row: Row[Any]) -> LabelTask:
    return LabelTask(
        row.id,
        row.sample,
        row.round,
        row.purpose,
        row.suggestion,
        row.suggested_by,
        row.suggestion_confidence,
        row.created_at,
    )
