"""What people answered, round by round, and a mark by which a changed round is known."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from sqlalchemy import BigInteger, case, func, select, type_coerce

from everloop.ids import SampleId
from everloop.state.database import Database
from everloop.state.tables import label_tasks, resolutions

_T = label_tasks.c
_SAID = ("answered", "recorded")
_OVER = (*_SAID, "skipped")
_AT_ONCE = 100
"""Rounds that one query asks for."""
_PRIME = 1_000_000_000_039
"""Of microseconds: 12 days, and the sum of nine million remainders is no larger than it may be."""

Mark: TypeAlias = tuple[int, ...]
"""Another one when an answer of the round was given, changed or taken back."""


class Said(NamedTuple):
    """One person's answer to a task, or their skipping it."""

    sample: SampleId
    by: str
    label: str | None
    """None: they skipped it."""
    known: str | None
    """Of a gold question, the answer that was known before."""


class AnswerRounds:
    """Reads the answers of people; a model's answer that was taken without a person says nothing
    of people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def marks(self) -> Mapping[str, Mark]:
        """The mark of each round in which something was answered or skipped."""
        # Grouped like this, SQLite answers from one index, however many answers there are.
        moments = func.sum(type_coerce(_T.answered_at, BigInteger) % _PRIME)
        query = select(_T.round, _T.status, func.count(), moments).group_by(_T.round, _T.status)
        found: dict[str, Mark] = {}
        with self._database.read() as connection:
            for name, status, count, moment in connection.execute(query):
                if status in _OVER:
                    skipped = count if status == "skipped" else 0
                    before = found.get(name, (0, 0, 0))
                    added = (count, skipped, moment or 0)
                    found[name] = tuple(map(sum, zip(before, added, strict=True)))
        return found

    def said(self, rounds: Sequence[str]) -> Iterator[tuple[str, list[Said]]]:
        """What was said in each of some rounds; answers to one sample lie side by side."""
        label = case((_T.status == "skipped", None), else_=_T.label)
        for start in range(0, len(rounds), _AT_ONCE):
            asked = rounds[start : start + _AT_ONCE]
            query = (
                select(_T.round, _T.sample, func.coalesce(_T.answered_by, ""), label, _T.known)
                .where(_T.round.in_(asked), _T.status.in_(_OVER), ~_T.accepted)
                .order_by(_T.round, _T.sample)
            )
            found: dict[str, list[Said]] = {name: [] for name in asked}
            with self._database.read() as connection:
                for name, *row in connection.execute(query).all():
                    found[name].append(Said(*row))
            yield from found.items()

    def of_resolved(self, round: str | None = None) -> list[Said]:  # noqa: A002 - the noun
        """The answers, of one round or of all, to samples that an adjudicator ever decided."""
        query = select(_T.sample, _T.answered_by, _T.label, _T.known, _T.status).where(
            _T.sample.in_(select(resolutions.c.sample)), ~_T.accepted
        )
        if round is not None:
            query = query.where(_T.round == round)
        with self._database.read() as connection:
            # By sample there are few; asked for by state, all answers would be looked at.
            rows = [row for row in connection.execute(query) if row.status in _SAID]
            return [Said(row.sample, row.answered_by or "", row.label, row.known) for row in rows]
