"""What people answered, task by task, as it is judged and reviewed; reads only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, func, select, tuple_

from everloop.ids import LabelTaskId, SampleId
from everloop.state.database import Database
from everloop.state.label_queue import Purpose
from everloop.state.tables import label_tasks

_T = label_tasks.c
_SAID = ("answered", "recorded")


@dataclass(frozen=True, slots=True)
class Given:
    """One person's answer to one task, or their skipping it."""

    task: LabelTaskId
    sample: SampleId
    round: str
    purpose: Purpose
    label: str | None
    """None: they skipped it."""
    by: str
    at: datetime
    suggestion: str | None
    """What they were offered."""
    known: str | None
    """Of a gold question, the answer that was known before; labellers never see it."""
    reason: str | None = None
    """Why they skipped it."""


class LabelAnswers:
    """The answers in the label queue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, round: str | None = None) -> tuple[Given, ...]:  # noqa: A002 - the noun
        """Every answer and skipped task, of one round or of all, in the order of their tasks."""
        # A model's answer that was taken without a person says nothing of people.
        query = select(label_tasks).where(_T.status.in_((*_SAID, "skipped")), ~_T.accepted)
        if round is not None:
            query = query.where(_T.round == round)
        return self._given(query.order_by(_T.position))

    def one(self, task: LabelTaskId) -> Given | None:
        """The answer of a person to a task, or their skipping it; None while there is none."""
        mine = (_T.id == task) & _T.status.in_((*_SAID, "skipped")) & ~_T.accepted
        found = self._given(select(label_tasks).where(mine))
        return found[0] if found else None

    def of(self, sample: SampleId) -> tuple[Given, ...]:
        """Those about one sample, oldest first."""
        query = select(label_tasks).where(_T.sample == sample, _T.status.in_((*_SAID, "skipped")))
        return self._given(query.order_by(_T.answered_at))

    def differing(self) -> tuple[Given, ...]:
        """The answers to samples that were answered with several texts in one round; no gold
        questions. Whether they say different things is for others to tell."""
        said = and_(_T.status.in_(_SAID), _T.known.is_(None))
        # The first is a question of the index alone: most samples were answered once.
        several = (
            select(_T.round, _T.sample)
            .where(said)
            .group_by(_T.sample, _T.round)
            .having(func.count(_T.label.distinct()) > 1)
        )
        query = select(label_tasks).where(said, tuple_(_T.round, _T.sample).in_(several))
        return self._given(query.order_by(_T.answered_at, _T.position))

    def gold(self) -> tuple[Given, ...]:
        """The answers to gold questions."""
        return self._given(select(label_tasks).where(_T.known.is_not(None), _T.status.in_(_SAID)))

    def _given(self, query: Select[Any]) -> tuple[Given, ...]:
        with self._database.read() as connection:
            return tuple(map(_one, connection.execute(query)))


def _one(row: Row[Any]) -> Given:
    return Given(
        row.id,
        row.sample,
        row.round,
        row.purpose,
        None if row.status == "skipped" else row.label,
        row.answered_by or "",
        row.answered_at,
        row.suggestion,
        row.known,
        row.skip_reason if row.status == "skipped" else None,
    )
