"""Which bundles serve which share of the traffic, now and in the past."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, insert, select, update

from everloop.errors import Conflict
from everloop.ids import BundleId
from everloop.state import experiments
from everloop.state.database import Database
from everloop.state.experiments import Experiment
from everloop.state.lease import Fence, check_fence
from everloop.state.tables import release, release_history

_ONLY = 1
_BACK = "champion back"

Mode: TypeAlias = Literal["canary", "shadow", "green"]
"""How a candidate is tried: on a share of the traffic, on copies of it, or loaded without any."""


@dataclass(frozen=True, slots=True)
class CanaryState:
    """A candidate that is being tried."""

    bundle: BundleId
    step: int
    share: float
    """Of the traffic; of copies of it for a shadow."""
    since: datetime
    mode: Mode = "canary"


@dataclass(frozen=True, slots=True)
class Release:
    """What is to serve; `generation` grows by one with each change."""

    generation: int = 0
    champion: BundleId | None = None
    champion_since: datetime | None = None
    previous: BundleId | None = None
    """The champion before this one, to which one may go back; never one that was sent back."""
    canary: CanaryState | None = None
    experiment: Experiment | None = None
    """The A/B test that runs; never beside a candidate."""


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
            return current(connection)

    def history(self) -> tuple[Change, ...]:
        """All changes, oldest first."""
        query = select(release_history).order_by(release_history.c.generation)
        with self._database.read() as connection:
            return tuple(
                Change(row.generation, row.at, row.what, row.bundle, row.reason or "")
                for row in connection.execute(query)
            )

    def set_canary(
        self,
        bundle: BundleId,
        step: int,
        share: float,
        fence: Fence,
        now: datetime,
        mode: Mode = "canary",
    ) -> None:
        """Give a bundle a candidate's place.

        Raises `Conflict` while another bundle has it, and while an experiment runs.
        """
        with self._database.write() as connection:
            check_fence(connection, fence)
            was = current(connection)
            if was.experiment is not None:
                raise Conflict(f"experiment {was.experiment.name} runs")
            if was.canary is not None and was.canary.bundle != bundle:
                raise Conflict(f"bundle {was.canary.bundle[:8]} is the canary already")
            if was.canary is not None and (was.canary.step, was.canary.share) == (step, share):
                return
            place = {"canary": bundle, "step": step, "share": share, "mode": mode}
            values = {**place, "canary_since": now}
            change(connection, was, now, mode, bundle, f"{share:.0%}", values)

    def promote(self, bundle: BundleId, fence: Fence, now: datetime) -> None:
        """Make a bundle the champion; the canary's place is free then."""
        self.set_champion(bundle, "promoted", fence, now)

    def set_champion(self, bundle: BundleId, reason: str, fence: Fence, now: datetime) -> None:
        """Make a bundle the champion for the reason given."""
        with self._database.write() as connection:
            check_fence(connection, fence)
            was = current(connection)
            if was.champion == bundle:
                return
            reason = _end_for(connection, was, bundle, reason, now)
            values: dict[str, Any] = {
                **NO_CANARY,
                "champion": bundle,
                "champion_since": now,
                "previous": was.champion,
            }
            change(connection, was, now, "champion", bundle, reason, values)

    def return_to(self, bundle: BundleId, reason: str, fence: Fence, now: datetime) -> None:
        """Make an earlier champion the champion again; what came after it is no way back."""
        with self._database.write() as connection:
            check_fence(connection, fence)
            was = current(connection)
            if was.champion == bundle:
                return
            reason = _end_for(connection, was, bundle, reason, now)
            before = _champions(connection)
            while before and before.pop() != bundle:
                pass
            values: dict[str, Any] = {
                **NO_CANARY,
                "champion": bundle,
                "champion_since": now,
                "previous": before[-1] if before else None,
            }
            change(connection, was, now, _BACK, bundle, reason, values)

    def end_canary(self, bundle: BundleId, reason: str, fence: Fence, now: datetime) -> None:
        """Take a bundle's canary share back."""
        with self._database.write() as connection:
            check_fence(connection, fence)
            was = current(connection)
            if was.canary is None or was.canary.bundle != bundle:
                return
            change(connection, was, now, "canary ended", bundle, reason, NO_CANARY)


NO_CANARY: dict[str, Any] = {
    "canary": None, "step": None, "share": None, "canary_since": None, "mode": None
}  # fmt: skip
"""What a release without a candidate holds."""


def _end_for(
    connection: Connection, was: Release, champion: BundleId, reason: str, now: datetime
) -> str:
    """End what was measured beside the champion before; why the champion changes, and that."""
    running = was.experiment
    if running is None:
        return reason
    variant = running.variant(champion)
    what = f"bundle {champion[:8]}" if variant is None else f"its variant {variant.name}"
    experiments.end(connection, running.name, f"{what} became the champion", now)
    return f"{reason}; this ends experiment {running.name}"


def _champions(connection: Connection) -> list[BundleId]:
    """The champions that followed each other, without those that were returned from."""
    line: list[BundleId] = []
    query = select(release_history).order_by(release_history.c.generation)
    for row in connection.execute(query):
        # Older stores wrote a return as a champion that was rolled back to.
        back = row.what == _BACK or (row.what == "champion" and row.reason == "rolled back")
        if back and row.bundle in line:
            del line[line.index(row.bundle) + 1 :]
        elif back or row.what == "champion":
            line.append(row.bundle)
    return line


def current(connection: Connection) -> Release:
    """The release as a transaction sees it."""
    row = connection.execute(select(release).where(release.c.id == _ONLY)).one_or_none()
    if row is None:
        return Release()
    canary = None
    if row.canary is not None:
        mode: Mode = row.mode or "canary"
        canary = CanaryState(row.canary, row.step, row.share, row.canary_since, mode)
    return Release(
        row.generation,
        row.champion,
        row.champion_since,
        row.previous,
        canary,
        experiments.running(connection),
    )


def change(
    connection: Connection,
    was: Release,
    now: datetime,
    what: str,
    bundle: BundleId | None,
    reason: str,
    values: dict[str, Any],
) -> None:
    """Change the release as part of a transaction, and tell its history of it."""
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
