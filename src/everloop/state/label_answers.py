"""What people answered, task by task, as it is judged and reviewed; reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, select

from everloop.ids import LabelTaskId, SampleId
from everloop.state.database import Database
from everloop.state.label_queue import Purpose
from everloop.state.tables import label_tasks

_T = label_tasks.c
_SAID = ("answered", "recorded")
_AT_ONCE = 500
"""Samples that one query asks for."""


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

    def about(self, samples: Mapping[str, Sequence[SampleId]]) -> tuple[Given, ...]:
        """The answers to some samples of each round, oldest first; no gold questions."""
        said = _T.status.in_(_SAID) & _T.known.is_(None) & ~_T.accepted
        found = list[Given]()
        for name, mine in samples.items():
            for start in range(0, len(mine), _AT_ONCE):
                these = (_T.round == name) & _T.sample.in_(mine[start : start + _AT_ONCE])
                query = select(label_tasks).where(these, said).order_by(_T.position)
                found += self._given(query)
        return tuple(sorted(found, key=lambda given: given.at))

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
