"""The outbox: messages that must arrive, each written down before anybody tries to send it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from sqlalchemy import Row, func, insert, select, update

from everloop.ids import Json
from everloop.state.alarms import mark
from everloop.state.database import Database
from everloop.state.lease import Fence, check_fence
from everloop.state.tables import outbox
from everloop_runtime.ids import digest_json

_APART = timedelta(microseconds=1)

MessageKind: TypeAlias = Literal["alert", "escalation", "resolved", "report"]


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be told to somebody."""

    rule: str
    """The rule that asks for it."""
    kind: MessageKind
    to: tuple[str, ...]
    """The names of the receivers' addresses."""
    title: str
    body: str
    """Plain text."""
    facts: Mapping[str, Json] = field(default_factory=dict)
    """The same for programs."""
    alarms: tuple[int, ...] = ()
    """The alarms it is about."""
    subject: str = ""
    """What it is about where that is no alarm."""
    attachments: tuple[str, ...] = ()
    """Files that go with it."""

    @property
    def key(self) -> str:
        """The same for what is the same to tell: it is written once, whoever writes it."""
        return digest_json([self.kind, self.rule, sorted(self.alarms), self.subject])[:32]


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to one receiver."""

    id: str
    """Goes along with every attempt, so that a receiver knows a repetition."""
    rule: str
    kind: MessageKind
    target: str
    title: str
    body: str
    facts: Mapping[str, Json]
    attachments: tuple[str, ...]
    made_at: datetime
    attempts: int
    """Failed ones."""
    not_before: datetime
    error: str | None
    """Why the latest attempt failed."""
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter on its way, without what is in it."""

    id: str
    target: str
    kind: MessageKind
    attempts: int
    not_before: datetime


class Outbox:
    """Letters are written once, tried until they arrive, and kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def post(self, messages: Iterable[Message], fence: Fence, now: datetime) -> None:
        """Write messages down, and on their alarms that it was done: both, or neither."""
        with self._database.write() as connection:
            check_fence(connection, fence)
            for number, message in enumerate(messages):
                # What is written at once has an order too.
                at = now + number * _APART
                for target in dict.fromkeys(message.to):
                    letter = {**_row(message, target, now), "made_at": at}
                    known = select(outbox.c.id).where(outbox.c.id == letter["id"])
                    if connection.execute(known).scalar() is None:
                        connection.execute(insert(outbox).values(**letter))
                mark(connection, message.alarms, f"{message.kind}/{message.rule}", now)

    def undelivered(self) -> tuple[Letter, ...]:
        """All letters on their way, oldest first."""
        query = select(outbox).where(outbox.c.delivered_at.is_(None))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(outbox.c.made_at, outbox.c.id))
            return tuple(_letter(row) for row in rows)

    def waiting(self) -> tuple[Waiting, ...]:
        """The same in short: it is looked at each turn, however long a receiver is away."""
        columns = [outbox.c[each.name] for each in fields(Waiting)]
        query = select(*columns).where(outbox.c.delivered_at.is_(None))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(outbox.c.made_at, outbox.c.id))
            return tuple(Waiting(*row) for row in rows)

    def last_by_rule(self) -> Mapping[str, datetime]:
        """When each rule wrote its latest message, an escalation aside."""
        query = select(outbox.c.rule, func.max(outbox.c.made_at)).where(
            outbox.c.kind.in_(("alert", "resolved"))
        )
        with self._database.read() as connection:
            return {row.rule: row[1] for row in connection.execute(query.group_by(outbox.c.rule))}

    def opened(self, letter: str, fence: Fence) -> Letter | None:
        """A letter that still waits, as only the one who may write can know; None: it does not."""
        query = select(outbox).where(outbox.c.id == letter, outbox.c.delivered_at.is_(None))
        with self._database.read() as connection:
            check_fence(connection, fence)
            row = connection.execute(query).one_or_none()
        return None if row is None else _letter(row)

    def delivered(self, letter: str, fence: Fence, now: datetime) -> None:
        """Note that it arrived."""
        self._write(letter, {"delivered_at": now, "error": None}, fence)

    def failed(self, letter: Letter | Waiting, error: str, again: datetime, fence: Fence) -> None:
        """Note that an attempt failed, and when the next is due."""
        values = {"attempts": letter.attempts + 1, "error": error, "not_before": again}
        self._write(letter.id, values, fence)

    def _write(self, letter: str, values: Mapping[str, Any], fence: Fence) -> None:
        here = (outbox.c.id == letter) & outbox.c.delivered_at.is_(None)
        with self._database.write() as connection:
            check_fence(connection, fence)
            connection.execute(update(outbox).where(here).values(**values))


def _row(message: Message, target: str, now: datetime) -> dict[str, Any]:
    return {
        "id": digest_json([message.key, target])[:32],
        "message": message.key,
        "rule": message.rule,
        "kind": message.kind,
        "target": target,
        "title": message.title,
        "body": message.body,
        "facts": dict(message.facts),
        "attachment": json.dumps(message.attachments) if message.attachments else None,
        "made_at": now,
        "attempts": 0,
        "not_before": now,
    }


def _letter(row: Row[Any]) -> Letter:
    known = {f.name: getattr(row, f.name) for f in fields(Letter) if f.name != "attachments"}
    return Letter(**known, attachments=_files(row.attachment))


def _files(told: str | None) -> tuple[str, ...]:
    # Earlier there was one, as it is.
    if told is None or not told.startswith("["):
        return () if told is None else (told,)
    return tuple(json.loads(told))
