"""The label tasks of people: made of cleared samples only, taken under a lease, answered
durably, recorded once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from everloop.errors import Conflict, Refused
from everloop.ids import LabelTaskId, PolicyVersion, SampleId
from everloop.state.clearances import Cleared, restored
from everloop.state.database import Database
from everloop.state.lease import Fence, check_fence
from everloop.state.tables import label_tasks

_T = label_tasks.c
_OTHER = label_tasks.alias("other")
_COPIES = 10
"""So many people are asked about one sample at most; see `[labelling] overlap`."""


Said: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of what a person said and what they had been offered."""
Purpose: TypeAlias = Literal["train", "holdout", "audit", "gold", "review"]
"""To learn from, to evaluate on, drawn at random to measure the live model, asked to measure who
labels, or an adjudicator's decision."""


@dataclass(frozen=True, slots=True)
class LabelTask:
    """One sample waiting for a person."""

    id: LabelTaskId
    cleared: Cleared
    """The sample, and the rendition of it that labellers get."""
    round: str
    purpose: Purpose
    suggestion: str | None
    """The pre-label that is offered."""
    suggested_by: str | None
    suggestion_confidence: float | None
    created_at: datetime
    known: str | None = None
    """Of a gold question, the answer that is known; labellers never see it."""
    drawn: bool = False
    """Drawn uniformly at random: what is found on such tasks together is true of all samples."""

    @property
    def sample(self) -> SampleId:
        return self.cleared.sample


@dataclass(frozen=True, slots=True)
class Answered:
    """A task that was answered."""

    id: LabelTaskId
    sample: SampleId
    label: str
    by: str
    at: datetime
    purpose: Purpose = "train"
    confidence: float | None = None
    """Of the model whose answer was taken without a person; None where a person answered."""


class LabelQueue:
    """A task is `open`, `answered`, `recorded` (it is an annotation), `skipped`, `uncleared` or
    `held` (back from labellers).

    A task that another privacy policy than the one in force opened or held counts as uncleared
    and is given to nobody until it is judged anew.
    """

    def __init__(self, database: Database, version: PolicyVersion | None) -> None:
        """`version` is of the policy in force; None: the gate is closed, nobody gets a task."""
        self._database = database
        self._version = version or ""
        stale = _T.status.in_(("open", "held")) & (_T.policy_version != self._version)
        self._status = case((stale, "uncleared"), else_=_T.status)

    def add(self, tasks: Iterable[LabelTask], fence: Fence) -> None:
        """Add tasks, all or none; those that are there already stay as they are.

        Raises `Refused` for a task whose sample the privacy gate has not cleared.
        """
        try:
            self._add(tasks, fence)
        except IntegrityError as error:
            raise Refused(f"no label task was made: {error.orig}") from error

    def _add(self, tasks: Iterable[LabelTask], fence: Fence) -> None:
        with self._database.write() as connection:
            check_fence(connection, fence)
            known = set(connection.execute(select(_T.id)).scalars())
            position = connection.execute(select(func.max(_T.position))).scalar() or 0
            rows = [
                {
                    "id": task.id,
                    "sample": _proof(task).sample,
                    "rendition": task.cleared.rendition,
                    "policy_version": task.cleared.version,
                    "round": task.round,
                    "purpose": task.purpose,
                    "suggestion": task.suggestion,
                    "suggested_by": task.suggested_by,
                    "suggestion_confidence": task.suggestion_confidence,
                    "known": task.known,
                    "created_at": task.created_at,
                    "drawn": task.drawn,
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
        taken = self.take(by, now, lease, 1)
        return taken[0] if taken else None

    def take(self, by: str, now: datetime, lease: timedelta, most: int) -> tuple[LabelTask, ...]:
        """The first tasks that nobody else holds, at most so many, held until `now + lease`.

        Whoever asks again gets what they hold first, for as long again; so the one who looks at
        the first of them can have the pictures of the others ready. Of several tasks about one
        sample in one round, each person gets one.
        """
        free = or_(
            _T.leased_until.is_(None),
            _T.leased_until <= now,
            # Written before the clock jumped back.
            _T.leased_until > now + lease,
            _T.leased_by == by,
        )
        # Plain columns, so that the index gives them in order, however many tasks there are.
        shown = (_T.status == "open") & (_T.policy_version == self._version)
        mine = or_(
            _OTHER.c.answered_by == by,
            (_OTHER.c.status == "open")
            & (_OTHER.c.leased_by == by)
            & (_OTHER.c.leased_until > now),
        )
        query = select(label_tasks).where(shown, free, ~_looked_at(mine)).order_by(_T.position)
        with self._database.write() as connection:
            found = connection.execute(query.limit(most * _COPIES)).all()
            # The first task of each sample; what one has answered or holds of it was left out.
            each = {(row.round, row.sample): row for row in reversed(found)}
            rows = sorted(each.values(), key=lambda row: row.position)[:most]
            for row in rows:
                connection.execute(
                    update(label_tasks)
                    .where(_T.id == row.id)
                    .values(leased_by=by, leased_until=now + lease)
                )
        return tuple(map(_task, rows))

    def held(self, task: LabelTaskId, by: str) -> LabelTask | None:
        """A task that was last given to `by`, answered or not; None for any other."""
        query = select(label_tasks).where(_T.id == task, _T.leased_by == by)
        shown = (_T.policy_version == self._version) & (_T.status != "held")
        with self._database.read() as connection:
            row = connection.execute(query.where(shown)).one_or_none()
        return None if row is None else _task(row)

    def is_known(self, task: LabelTaskId) -> bool:
        """Whether there is a task of this id, whoever may see it."""
        with self._database.read() as connection:
            found = connection.execute(select(_T.id).where(_T.id == task)).scalar()
        return found is not None

    def sample_of(self, task: LabelTaskId) -> SampleId:
        """The sample that a task is about; `Refused` for an unknown task."""
        with self._database.read() as connection:
            found = connection.execute(select(_T.sample).where(_T.id == task)).scalar()
        if found is None:
            raise Refused(f"there is no label task {task[:32]!r}")
        return SampleId(found)

    def reopen(self, task: LabelTaskId, by: str, now: datetime, lease: timedelta) -> None:
        """Take one's own answer back, or one's skipping: the task is open, and held by them.

        What is recorded of it stands until they answer anew. Raises `Conflict` when somebody else
        answered it.
        """
        with self._database.write() as connection:
            row = connection.execute(select(label_tasks).where(_T.id == task)).one_or_none()
            if row is None or row.answered_by not in (by, None):
                raise Conflict(f"task {task[:8]} was not answered by {by}")
            if row.status not in ("answered", "skipped", "recorded"):
                return
            nothing = dict.fromkeys(("label", "answered_by", "answered_at", "skip_reason"))
            held = {"status": "open", "leased_by": by, "leased_until": now + lease}
            connection.execute(update(label_tasks).where(_T.id == task).values(**nothing, **held))

    def answer(self, task: LabelTaskId, label: str, by: str, now: datetime) -> None:
        """Save an answer; it is on the disk when this returns.

        The same answer again changes nothing, another answer replaces one's own that is not
        recorded yet. Raises `Refused` for an unknown task and `Conflict` for one that is recorded,
        or that somebody else has answered.
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
            by = values["answered_by"]
            # A model's answer gives way to a person's; a person's is never lost to another's.
            if row.status == "answered" and not row.accepted and row.answered_by != by:
                raise Conflict(f"{row.answered_by} answered task {task[:8]} meanwhile")
            _check_alone(connection, row, by)
            connection.execute(
                update(label_tasks)
                .where(_T.id == task)
                .values(answered_at=now, accepted=False, **values)
            )

    def counts(self, round: str | None = None) -> Mapping[str, int]:  # noqa: A002 - the noun
        """How many tasks there are of each status, in one round or in all."""
        query = select(self._status.label("status"), func.count()).group_by(self._status)
        if round is not None:
            query = query.where(_T.round == round)
        with self._database.read() as connection:
            return {row.status: row[1] for row in connection.execute(query)}

    def oldest_open(self) -> datetime | None:
        """When the oldest open task was made."""
        shown = self._status == "open"
        query = select(_T.created_at).where(shown).order_by(_T.position).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def uncleared(self) -> Mapping[LabelTaskId, SampleId]:
        """The tasks that wait for the privacy filters, with their samples, in their order."""
        query = select(_T.id, _T.sample).where(self._status == "uncleared").order_by(_T.position)
        with self._database.read() as connection:
            return {row.id: row.sample for row in connection.execute(query)}

    def clear(
        self, proofs: Iterable[Cleared], held: Iterable[SampleId], fence: Fence
    ) -> Mapping[str, int]:
        """Open the uncleared tasks of the proven samples, and put those of held ones aside.

        Returns how many tasks became `open` and `held`.
        """
        done = {"open": 0, "held": 0}
        with self._database.write() as connection:
            check_fence(connection, fence)
            waits = self._status == "uncleared"
            for proof in proofs:
                named = {"rendition": proof.rendition, "policy_version": proof.version}
                done["open"] += connection.execute(
                    update(label_tasks)
                    .where(_T.sample == proof.sample, waits)
                    .values(status="open", **named)
                ).rowcount
            for sample in held:
                done["held"] += connection.execute(
                    update(label_tasks)
                    .where(_T.sample == sample, waits)
                    .values(status="held", policy_version=self._version)
                ).rowcount
        return done

    def shown(self, most: int) -> tuple[LabelTask, ...]:
        """The open tasks that labellers may see, in their order, whoever holds them."""
        query = select(label_tasks).where(self._status == "open").order_by(_T.position)
        with self._database.read() as connection:
            return tuple(map(_task, connection.execute(query.limit(most))))

    def skipped(self) -> frozenset[SampleId]:
        """The samples that people put aside."""
        query = select(_T.sample).where(_T.status == "skipped")
        with self._database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def latest_audit(self, bundle: str) -> tuple[datetime, Said] | None:
        """Of the newest audit of a bundle's answers: when, and what people said of them."""
        mine = (_T.purpose == "audit") & (_T.suggested_by == bundle)
        newest = select(_T.round, _T.created_at).where(mine).order_by(_T.position.desc()).limit(1)
        with self._database.read() as connection:
            found = connection.execute(newest).one_or_none()
            if found is None:
                return None
            return found.created_at, _said(connection, mine & (_T.round == found.round))

    def drawn_at_random(self, bundle: str) -> Said:
        """What people said of a bundle's answers that were drawn at random. Whatever else is asked
        about, these tell how good its answers are."""
        with self._database.read() as connection:
            return _said(connection, _T.drawn & (_T.suggested_by == bundle))

    def answered_unrecorded(self) -> tuple[Answered, ...]:
        """The answers that are not annotations yet, in the order of their tasks."""
        query = select(label_tasks).where(_T.status == "answered").order_by(_T.position)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Answered(
                row.id,
                row.sample,
                row.label,
                row.answered_by,
                row.answered_at,
                row.purpose,
                row.suggestion_confidence if row.accepted else None,
            )
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


def _looked_at(by_them: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether another task of the same round is about the same sample, and theirs."""
    same = (_OTHER.c.sample == _T.sample) & (_OTHER.c.round == _T.round) & (_OTHER.c.id != _T.id)
    return exists(select(_OTHER.c.id).where(same, by_them))


def _check_alone(connection: Connection, row: Row[Any], by: str) -> None:
    """Raise `Conflict` where the same person answered another task about the same sample."""
    query = select(_T.id).where(_T.id == row.id, _looked_at(_OTHER.c.answered_by == by))
    if connection.execute(query).one_or_none() is not None:
        raise Conflict(
            f"{by} answered about this sample already; task {row.id[:8]} waits for somebody else"
        )


def _proof(task: LabelTask) -> Cleared:
    if not isinstance(task.cleared, Cleared):
        raise Refused(f"label task {task.id[:8]} has no proof that its sample was cleared")
    return task.cleared


def _task(row: Row[Any]) -> LabelTask:
    return LabelTask(
        row.id,
        restored(row.sample, row.rendition, row.policy_version),
        row.round,
        row.purpose,
        row.suggestion,
        row.suggested_by,
        row.suggestion_confidence,
        row.created_at,
        row.known,
        row.drawn,
    )


def _said(connection: Connection, which: ColumnElement[bool]) -> Said:
    done = which & _T.status.in_(("answered", "recorded")) & _T.suggestion.is_not(None)
    rows = connection.execute(select(_T.label, _T.suggestion).where(done))
    return tuple((row.label, row.suggestion) for row in rows)
