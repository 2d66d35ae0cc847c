"""Passwords: who has a token may give it one, and then log in by name. Kept as Argon2id hashes."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from everloop.errors import Refused
from everloop.state.database import Database
from everloop.state.tables import passwords, tokens

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_P, _T = passwords.c, tokens.c
SHORTEST, _LONGEST = 12, 200
_SAME_NAME = 3
"""Tokens of one name that are tried at most: each try costs what a guess shall cost."""


@dataclass(frozen=True, slots=True)
class Passwords:
    """One a token at most; it lasts as long as the token."""

    database: Database

    def put(self, token: str, password: str, now: datetime) -> None:
        """Give a token a password; the one before is void.

        Raises `Refused` for one that is too short or too long, and for a one-time token.
        """
        if not SHORTEST <= len(password) <= _LONGEST:
            raise Refused(f"a password has {SHORTEST} to {_LONGEST} characters")
        told = _hasher().hash(password)
        with self.database.write() as connection:
            row = connection.execute(select(tokens).where(_T.id == token)).one_or_none()
            if row is None or row.once:
                raise Refused(
                    "a one-time token has no password; make yourself one that lasts, on People"
                )
            if row.name.lower() in password.lower():
                raise Refused("a password does not contain one's name")
            connection.execute(delete(passwords).where(_P.token == token))
            connection.execute(insert(passwords).values(token=token, hash=told, set_at=now))

    def is_set(self, token: str) -> bool:
        """Whether a token has one."""
        with self.database.read() as connection:
            found = connection.execute(select(_P.token).where(_P.token == token)).scalar()
        return found is not None

    def check(self, token: str, password: str) -> bool:
        """Whether this is a token's password."""
        with self.database.read() as connection:
            told = connection.execute(select(_P.hash).where(_P.token == token)).scalar()
        return _fits(told, password)

    def find(self, name: str, password: str, now: datetime) -> str | None:
        """The good token of that name and password; None without one.

        It takes as long where nobody is called so.
        """
        good = (_T.once == 0) & _T.revoked_at.is_(None) & (_T.expires_at > now)
        query = (
            select(_P.token, _P.hash)
            .join(tokens, _T.id == _P.token)
            .where(_T.name == name.strip(), good)
            .order_by(_P.set_at.desc())
            .limit(_SAME_NAME)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        if not rows:
            _fits(None, password)
        found = next((row for row in rows if _fits(row.hash, password)), None)
        if found is not None and _hasher().check_needs_rehash(found.hash):
            self._renew(found.token, password)
        return None if found is None else str(found.token)

    def _renew(self, token: str, password: str) -> None:
        with self.database.write() as connection:
            told = _hasher().hash(password)
            connection.execute(update(passwords).where(_P.token == token).values(hash=told))


@cache
def _hasher() -> "PasswordHasher":
    # Argon2id by RFC 9106's second recommendation: 64 MiB, three passes.
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobodys() -> str:
    return _hasher().hash("nobody has this password")


def _fits(told: str | None, password: str) -> bool:
    """Whether a password is that of a hash; without a hash it takes as long to say no."""
    from argon2.exceptions import VerificationError

    try:
        _hasher().verify(told or _nobodys(), password[: _LONGEST + 1])
    except VerificationError:
        return False
    return told is not None
