"""Which bundles serve which share of the traffic, now and in the past."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from everloop.errors import Conflict
from everloop.ids import BundleId
from everloop.state.database import Database
from everloop.state.lease import Fence, check_fence
from everloop.state.tables import release, release_history

_ONLY = 1


@dataclass(frozen=True, slots=True)
class CanaryState:
    """A candidate with a share of the traffic."""

    bundle: BundleId
    step: int
    share: float
    since: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """What is to serve; `generation` grows by one with each change."""

    generation: int = 0
    champion: BundleId | None = None
    champion_since: datetime | None = None
    previous: BundleId | None = None
    """The champion before this one."""
    canary: CanaryState | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One past change of the release."""

    generation: int
    at: datetime
    what: str
    bundle: BundleId | None
    reason: str


class Releases:
    """The one current release and its history. Doing the same twice changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self) -> Release:
        """The release as it is now."""
        with self._database.read() as connection:
            return _current(connection)

    def history(self) -> tuple[Change, ...]:
        """All changes, oldest first."""
        query = select(release_history).order_by(release_history.c.generation)
        with self._database.read() as connection:
            return tuple(
                Change(row.generation, row.at, row.what, row.bundle, row.reason or "")
                for row in connection.execute(query)
            )

    def set_canary(
        self, bundle: BundleId, step: int, share: float, fence: Fence, now: datetime
    ) -> None:
        """Give a bundle a canary's share. Raises `Conflict` while another bundle has it."""
        with self._database.write() as connection:
            check_fence(connection, fence)
            was = _current(connection)
            if was.canary is not None and was.canary.bundle != bundle:
                raise Conflict(f"bundle {was.canary.bundle[:8]} is the canary already")
            if was.canary is not None and (was.canary.step, was.canary.share) == (step, share):
                return
            values = {"canary": bundle, "step": step, "share": share, "canary_since": now}
            _change(connection, was, now, "canary", bundle, f"{share:.0%}", values)

    def promote(self, bundle: BundleId, fence: Fence, now: datetime) -> None:
        """Make a bundle the champion; the canary's place is free then."""
        self.set_champion(bundle, "promoted", fence, now)

    def set_champion(self, bundle: BundleId, reason: str, fence: Fence, now: datetime) -> None:
        """Make a bundle the champion for the reason given."""
        with self._database.write() as connection:
            check_fence(connection, fence)
            was = _current(connection)
            if was.champion == bundle:
                return
            values: dict[str, Any] = {
                **_NO_CANARY,
                "champion": bundle,
                "champion_since": now,
                "previous": was.champion,
            }
            _change(connection, was, now, "champion", bundle, reason, values)

    def end_canary(self, bundle: BundleId, reason: str, fence: Fence, now: datetime) -> None:
        """Take a bundle's canary share back."""
        with self._database.write() as connection:
            check_fence(connection, fence)
            was = _current(connection)
            if was.canary is None or was.canary.bundle != bundle:
                return
            _change(connection, was, now, "canary ended", bundle, reason, _NO_CANARY)


_NO_CANARY: dict[str, Any] = {"canary": None, "step": None, "share": None, "canary_since": None}


def _current(connection: Connection) -> Release:
    row = connection.execute(select(release).where(release.c.id == _ONLY)).one_or_none()
    if row is None:
        return Release()
    canary = None
    if row.canary is not None:
        canary = CanaryState(row.canary, row.step, row.share, row.canary_since)
    return Release(row.generation, row.champion, row.champion_since, row.previous, canary)


def _change(
    connection: Connection,
    was: Release,
    now: datetime,
    what: str,
    bundle: BundleId,
    reason: str,
    values: dict[str, Any],
) -> None:
    generation = was.generation + 1
    if was.generation == 0:
        connection.execute(insert(release).values(id=_ONLY, generation=generation, **values))
    else:
        connection.execute(
            update(release).where(release.c.id == _ONLY).values(generation=generation, **values)
        )
    connection.execute(
        insert(release_history).values(
            generation=generation, at=now, what=what, bundle=bundle, reason=reason
        )
    )
