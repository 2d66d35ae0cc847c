"""Who may use the pages: tokens with a role, and the sessions that were opened with them.

Only hashes are kept. A token is random and long, so that a plain hash cannot be turned back.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select, update

from everloop.errors import Conflict, Refused
from everloop.state.database import Database
from everloop.state.tables import sessions, tokens
from everloop_runtime.ids import digest_bytes

PersonRole: TypeAlias = Literal["viewer", "labeller", "approver", "administrator"]
"""What people may be: these log in."""
Role: TypeAlias = PersonRole | Literal["hook"]
"""What somebody may do; which role may open which page is one table in `web/table.py`. A `hook`
is a program that may tell us that something changed with it, and nothing else."""

PEOPLE: tuple[PersonRole, ...] = get_args(PersonRole)
ROLES: tuple[Role, ...] = ("hook", *PEOPLE)
_PREFIX = "evl_"
_PROVIDED = "oidc "
"""How the maker of a token is written for whom a provider vouches."""
_LONGEST_NAME = 60
_T, _S = tokens.c, sessions.c


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose token or session is good at this moment."""

    name: str
    role: Role
    token: str
    """The id of their token; the token itself is known to nobody but them."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token."""

    id: str
    name: str
    role: Role
    made_at: datetime
    made_by: str
    expires_at: datetime
    once: bool
    used_at: datetime | None
    revoked_at: datetime | None

    def is_good(self, now: datetime) -> bool:
        """Whether somebody can still log in with it."""
        spent = self.once and self.used_at is not None
        return self.revoked_at is None and not spent and now < self.expires_at


class Access:
    """Tokens and sessions. Whatever is revoked is refused from the next request on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(
        self,
        name: str,
        role: Role,
        *,
        by: str,
        now: datetime,
        lasts: timedelta,
        once: bool = False,
    ) -> tuple[Token, str]:
        """A new token and its text, which is not to be had again. `once`: it opens one session."""
        if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            raise Refused(f"{name[:80]!r} is no name: printable, 1 to {_LONGEST_NAME} characters")
        if role not in ROLES:
            raise Refused(f"there is no role {role!r}; there are: {', '.join(ROLES)}")
        text = _PREFIX + secrets.token_urlsafe(32)
        made = Token(
            secrets.token_hex(8), name.strip(), role, now, by, now + lasts, once, None, None
        )
        with self._database.write() as connection:
            connection.execute(
                insert(tokens).values(
                    id=made.id,
                    hash=_hash(text),
                    name=made.name,
                    role=role,
                    made_at=now,
                    made_by=by,
                    expires_at=made.expires_at,
                    once=int(once),
                )
            )
        return made, text

    def first(self, now: datetime, lasts: timedelta) -> str | None:
        """A one-time administrator's token while nobody has ever been let in as one.

        An earlier one that nobody used is void then: its text is known to nobody any more.
        """
        mine = (_T.role == "administrator") & _T.revoked_at.is_(None)
        unused = mine & (_T.once == 1) & _T.used_at.is_(None)
        with self._database.write() as connection:
            there = connection.execute(select(_T.id).where(mine, ~unused).limit(1)).scalar()
            if there is not None:
                return None
            connection.execute(update(tokens).where(unused).values(revoked_at=now))
        _, text = self.make(
            "administrator", "administrator", by="first start", now=now, lasts=lasts, once=True
        )
        return text

    def enter(self, text: str, now: datetime, lasts: timedelta) -> tuple[Person, str]:
        """Open a session with a token: who it is, and the session's secret.

        Raises `Refused` for a token that is unknown, spent, revoked or expired: which, is not told.
        """
        with self._database.write() as connection:
            row = connection.execute(select(tokens).where(_T.hash == _hash(text))).one_or_none()
            if row is None or row.role not in PEOPLE or not _token(row).is_good(now):
                raise Refused("this token is not known here, is spent or has expired")
            return _open(connection, row, now, lasts)

    def enter_by(self, token: str, now: datetime, lasts: timedelta) -> tuple[Person, str]:
        """The same for a token whose owner showed a password. Raises as `enter` does."""
        with self._database.write() as connection:
            row = connection.execute(select(tokens).where(_T.id == token)).one_or_none()
            if row is None or not _token(row).is_good(now):
                raise Refused("this token is not known here, is spent or has expired")
            return _open(connection, row, now, lasts)

    def let_in(
        self, name: str, role: Role, *, subject: str, now: datetime, lasts: timedelta
    ) -> tuple[Person, str]:
        """Open a session for somebody whom a provider vouches for: who it is, and the session's
        secret.

        They are listed among the tokens until then, and may be shut out like anybody. `subject`
        is what the provider knows them by, for good: who calls themselves otherwise there keeps
        the name of their first time here, and of two with one name the second is told apart.
        """
        by = f"{_PROVIDED}{subject}"
        name = self._name_of(by) or self._free_name(name, by)
        _, text = self.make(name, role, by=by, now=now, lasts=lasts, once=True)
        return self.enter(text, now, lasts)

    def _name_of(self, by: str) -> str | None:
        query = select(_T.name).where(_T.made_by == by).order_by(_T.made_at).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def _free_name(self, name: str, by: str) -> str:
        """The name, or one made of it where the provider calls somebody else so.

        A token that an administrator made in that name is theirs too: who holds both is one person.
        """
        others = (_T.made_by != by) & _T.made_by.startswith(_PROVIDED)
        query = select(_T.id).where(_T.name == name.strip(), others).limit(1)
        with self._database.read() as connection:
            if connection.execute(query).scalar() is None:
                return name
        mark = f" ({digest_bytes(by.encode())[:8]})"
        return name.strip()[: _LONGEST_NAME - len(mark)] + mark

    def of_session(self, secret: str, now: datetime) -> Person | None:
        """Whose session this is; None when it has ended."""
        query = (
            select(tokens)
            .join(sessions, _S.token == _T.id)
            .where(_S.hash == _hash(secret), _S.ended_at.is_(None), _S.expires_at > now)
        )
        return self._one(query.where(_T.revoked_at.is_(None)))

    def of_token(self, text: str, now: datetime) -> Person | None:
        """Whose token this is, for programs; a one-time token is none of a program's."""
        good = (_T.once == 0) & _T.revoked_at.is_(None) & (_T.expires_at > now)
        return self._one(select(tokens).where(_T.hash == _hash(text), good))

    def _one(self, query: Any) -> Person | None:
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _person(row)

    def leave(self, secret: str, now: datetime) -> None:
        """End a session."""
        self._end(_S.hash == _hash(secret), now)

    def leave_others(self, token: str, secret: str, now: datetime) -> None:
        """End every session of a token but one."""
        self._end((_S.token == token) & (_S.hash != _hash(secret)), now)

    def revoke(self, token: str, now: datetime) -> Token:
        """Void a token and every session it opened. Raises `Refused` for an unknown one."""
        with self._database.write() as connection:
            row = connection.execute(select(tokens).where(_T.id == token)).one_or_none()
            if row is None:
                raise Refused(f"there is no token {token[:20]!r}")
            if row.revoked_at is not None:
                raise Conflict(f"the token of {row.name} was revoked already")
            connection.execute(update(tokens).where(_T.id == token).values(revoked_at=now))
        self._end(_S.token == token, now)
        return _token(row)

    def _end(self, which: ColumnElement[bool], now: datetime) -> None:
        with self._database.write() as connection:
            connection.execute(
                update(sessions).where(which, _S.ended_at.is_(None)).values(ended_at=now)
            )

    def tokens(self, most: int = 500) -> Sequence[Token]:
        """The newest tokens, newest first."""
        query = select(tokens).order_by(_T.made_at.desc(), _T.id).limit(most)
        with self._database.read() as connection:
            return [_token(row) for row in connection.execute(query)]

    def forget_ended(self, before: datetime) -> int:
        """Remove sessions that ended or ran out before a moment; how many."""
        over = or_(_S.ended_at < before, _S.expires_at < before)
        with self._database.write() as connection:
            return connection.execute(sessions.delete().where(over)).rowcount


def _open(
    connection: Connection, row: Row[Any], now: datetime, lasts: timedelta
) -> tuple[Person, str]:
    secret = secrets.token_urlsafe(32)
    # One that opens one session lasts beyond itself; of all others the end is the end.
    end = now + lasts if row.once else min(now + lasts, row.expires_at)
    connection.execute(update(tokens).where(_T.id == row.id).values(used_at=now))
    connection.execute(
        insert(sessions).values(hash=_hash(secret), token=row.id, began_at=now, expires_at=end)
    )
    return _person(row), secret


def _hash(text: str) -> str:
    return digest_bytes(text.encode())


def _person(row: Row[Any]) -> Person:
    return Person(row.name, row.role, row.id)


def _token(row: Row[Any]) -> Token:
    return Token(
        row.id,
        row.name,
        row.role,
        row.made_at,
        row.made_by,
        row.expires_at,
        bool(row.once),
        row.used_at,
        row.revoked_at,
    )
