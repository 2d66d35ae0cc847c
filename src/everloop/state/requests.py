"""What people asked the loop for, and what it answered."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update

from everloop.ids import Json
from everloop.state.database import Database
from everloop.state.lease import Fence, check_fence
from everloop.state.tables import requests


@dataclass(frozen=True, slots=True)
class Asked:
    """One open request."""

    id: str
    kind: str
    inputs: Mapping[str, Json]
    by: str


class Requests:
    """A queue of requests, answered by whoever controls the loop."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(self, kind: str, inputs: Mapping[str, Json], by: str, now: datetime) -> str:
        """Ask for something; the request's id is returned."""
        request = secrets.token_hex(8)
        with self._database.write() as connection:
            connection.execute(
                insert(requests).values(id=request, kind=kind, inputs=dict(inputs), by=by, at=now)
            )
        return request

    def pending(self) -> tuple[Asked, ...]:
        """The requests without an answer, oldest first."""
        query = select(requests).where(requests.c.answer.is_(None)).order_by(requests.c.at)
        with self._database.read() as connection:
            return tuple(
                Asked(row.id, row.kind, row.inputs, row.by) for row in connection.execute(query)
            )

    def all(self, kind: str) -> tuple[Asked, ...]:
        """Every request of a kind, answered ones too, oldest first."""
        query = select(requests).where(requests.c.kind == kind).order_by(requests.c.at)
        with self._database.read() as connection:
            return tuple(
                Asked(row.id, row.kind, row.inputs, row.by) for row in connection.execute(query)
            )

    def answer(self, request: str) -> str | None:
        """The loop's answer; None while it is pending."""
        query = select(requests.c.answer).where(requests.c.id == request)
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def done(self, request: str, answer: str, fence: Fence, now: datetime) -> None:
        """Answer a request; the first answer stands."""
        with self._database.write() as connection:
            check_fence(connection, fence)
            connection.execute(
                update(requests)
                .where(requests.c.id == request, requests.c.answer.is_(None))
                .values(answer=answer, answered_at=now)
            )
