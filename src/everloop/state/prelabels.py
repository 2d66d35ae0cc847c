"""A model's answers that were taken for labels without a person, and the audits of them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, or_, select, update

from everloop.ids import BundleId, LabelTaskId, PolicyVersion
from everloop.state.database import Database
from everloop.state.lease import Fence, check_fence
from everloop.state.tables import label_tasks

_T = label_tasks.c
_OTHER = label_tasks.alias("other")
_DONE = ("answered", "recorded")


@dataclass(frozen=True, slots=True)
class Sure:
    """Which answers count: those of a bundle above a threshold, a share of them audited."""

    bundle: BundleId
    threshold: float
    audit_share: float

    def condition(self) -> ColumnElement[bool]:
        """Tasks of these answers. What is drawn at random or of the hold-out is people's alone."""
        offered = (_T.suggested_by == self.bundle) & _T.suggestion.is_not(None)
        taught = (_T.purpose == "train") & ~_T.drawn
        return offered & taught & (_T.suggestion_confidence > self.threshold)

    def is_audited(self) -> ColumnElement[bool]:
        """Whether a task goes to a person all the same: by its id, which is a hash."""
        return _T.id < f"{int(self.audit_share * 2**32):08x}"


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with a bundle's sure answers."""

    eligible: tuple[LabelTaskId, ...]
    """Open tasks that nobody holds and no audit keeps for people."""
    accepted: int
    """Taken for labels so far."""
    audited: int
    """Of those kept for people: answered."""
    right: int
    """Of these: people agreed."""


class Prelabels:
    """Reads and changes label tasks whose offered answer is sure enough."""

    def __init__(self, database: Database, version: PolicyVersion | None) -> None:
        """`version`: of the privacy policy in force; tasks of another one are left alone."""
        self._database = database
        self._version = version or ""

    def standing(self, sure: Sure, now: datetime) -> Standing:
        """How it stands now."""
        mine = (_T.suggested_by == sure.bundle) & _T.accepted
        audited = sure.condition() & sure.is_audited() & _T.status.in_(_DONE) & ~_T.accepted
        with self._database.read() as connection:
            eligible = connection.execute(
                select(_T.id).where(self._eligible(sure, now)).order_by(_T.position)
            ).scalars()

            def count(where: ColumnElement[bool]) -> int:
                query = select(func.count()).select_from(label_tasks).where(where)
                return connection.execute(query).scalar_one()

            agreed = audited & (_T.label == _T.suggestion)
            return Standing(tuple(eligible), count(mine), count(audited), count(agreed))

    def accept(self, sure: Sure, fence: Fence, now: datetime) -> int:
        """Answer the eligible tasks with what is offered; how many there were."""
        taken = {"status": "answered", "label": _T.suggestion, "answered_by": _T.suggested_by}
        with self._database.write() as connection:
            check_fence(connection, fence)
            return connection.execute(
                update(label_tasks)
                .where(self._eligible(sure, now))
                .values(**taken, answered_at=now, accepted=True)
            ).rowcount

    def ask_again(self, bundle: BundleId, fence: Fence) -> int:
        """Give the tasks that a bundle's answers were taken for to people; how many there were.

        What is recorded stands until they answer: a person's word goes before a model's.
        """
        names = ("label", "answered_by", "answered_at", "leased_by", "leased_until")
        with self._database.write() as connection:
            check_fence(connection, fence)
            return connection.execute(
                update(label_tasks)
                .where(_T.accepted, _T.suggested_by == bundle, _T.status.in_(_DONE))
                .values(status="open", accepted=False, **dict.fromkeys(names))
            ).rowcount

    def _eligible(self, sure: Sure, now: datetime) -> ColumnElement[bool]:
        shown = (_T.status == "open") & (_T.policy_version == self._version)
        free = or_(_T.leased_until.is_(None), _T.leased_until <= now)
        # What several people are asked about is asked to compare people.
        twice = (_OTHER.c.sample == _T.sample) & (_OTHER.c.round == _T.round)
        alone = ~exists(select(_OTHER.c.id).where(twice, _OTHER.c.id != _T.id))
        return shown & free & alone & sure.condition() & ~sure.is_audited()
