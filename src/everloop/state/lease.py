"""Who may write: a lease picks one controller, a fencing token stops every older one."""

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from everloop.errors import Conflict
from everloop.process import started
from everloop.state.database import Database
from everloop.state.tables import leases


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to write, as long as no newer token was given out."""

    name: str
    token: int


def this_process() -> str:
    """Names this process so that another on the same host can tell whether it is alive."""
    return f"{socket.gethostname()}/{os.getpid()}/{started(os.getpid())}"


def _is_gone(holder: str) -> bool:
    """Whether the holder was a process of this host that has ended."""
    parts = holder.split("/")
    if len(parts) != 3 or parts[0] != socket.gethostname() or not parts[1].isdigit():
        return False
    return started(int(parts[1])) != parts[2]


def check_fence(connection: Connection, fence: Fence) -> None:
    """Raise `Conflict` when a newer token was given out; call inside the transaction it guards."""
    token = connection.execute(
        select(leases.c.token).where(leases.c.name == fence.name)
    ).scalar_one_or_none()
    if token != fence.token:
        raise Conflict(
            f"this process holds {fence.name} token {fence.token}, the newest is {token}: "
            "another has taken over"
        )


class Leases:
    """Named leases, each with a token that only grows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, name: str, holder: str, now: datetime, ttl: timedelta) -> Fence | None:
        """A new token, or None while another holder's lease runs.

        A holder of this host whose process is gone loses it at once. A lease that would run for
        longer than `ttl` from `now` was written before the clock jumped back: it counts as over.
        """
        with self._database.write() as connection:
            row = connection.execute(select(leases).where(leases.c.name == name)).one_or_none()
            if row is None:
                connection.execute(
                    insert(leases).values(name=name, token=1, holder=holder, expires=now + ttl)
                )
                return Fence(name, 1)
            if _holds(row.holder, row.expires, now, ttl):
                return None
            token = row.token + 1
            connection.execute(
                update(leases)
                .where(leases.c.name == name)
                .values(token=token, holder=holder, expires=now + ttl)
            )
            return Fence(name, token)

    def renew(self, fence: Fence, now: datetime, ttl: timedelta) -> bool:
        """Extend the lease; False when a newer token was given out."""
        with self._database.write() as connection:
            done = connection.execute(
                update(leases)
                .where(leases.c.name == fence.name, leases.c.token == fence.token)
                .values(expires=now + ttl)
            )
            return done.rowcount == 1

    def release(self, fence: Fence) -> None:
        """Let the next one have it at once; nothing happens if it is taken already."""
        with self._database.write() as connection:
            connection.execute(
                update(leases)
                .where(leases.c.name == fence.name, leases.c.token == fence.token)
                .values(holder=None, expires=None)
            )

    def holder(self, name: str) -> str | None:
        """Who holds the lease and is not known to be gone."""
        with self._database.read() as connection:
            row = connection.execute(select(leases).where(leases.c.name == name)).one_or_none()
        if row is None or row.holder is None or _is_gone(row.holder):
            return None
        return str(row.holder)

    def renewed(self, name: str, ttl: timedelta) -> datetime | None:
        """When a lease that runs for `ttl` was renewed last; None when nobody has it."""
        query = select(leases.c.expires).where(leases.c.name == name)
        with self._database.read() as connection:
            expires = connection.execute(query).scalar_one_or_none()
        return None if expires is None else expires - ttl


def _holds(holder: str | None, expires: datetime | None, now: datetime, ttl: timedelta) -> bool:
    if holder is None or expires is None or _is_gone(holder):
        return False
    return now < expires <= now + ttl
