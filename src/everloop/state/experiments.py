"""A/B tests in the state database: the one that runs, and those that ended.

Nothing here is a transaction of its own: an experiment begins and ends in that of the release which
it is a part of (`state.releases`), so that no crash comes between the two.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from everloop.ids import BundleId
from everloop.state.tables import experiment_variants, experiments


@dataclass(frozen=True, slots=True)
class Variant:
    """One bundle of an experiment, and its share of the traffic."""

    name: str
    bundle: BundleId
    share: float
    out_at: datetime | None = None
    """When it was taken out; its share has been the champion's since."""
    out_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """An A/B test of variants beside the champion."""

    name: str
    """No two experiments of a project ever have the same."""
    champion: BundleId
    variants: tuple[Variant, ...]
    since: datetime
    event: str = ""
    """The business event that is compared; none when empty."""
    event_most: float = 1.0
    """The most one answer can earn of it."""
    ended_at: datetime | None = None
    reason: str | None = None
    """Why it ended."""

    @property
    def live(self) -> tuple[Variant, ...]:
        """The variants that were not taken out."""
        return tuple(variant for variant in self.variants if variant.out_at is None)

    def variant(self, bundle: BundleId) -> Variant | None:
        """The variant of a bundle, taken out or not; None when it has none."""
        return next((variant for variant in self.variants if variant.bundle == bundle), None)

    def told(self) -> str:
        """Its name and the shares of its variants, in words."""
        shares = ", ".join(f"{variant.name} {variant.share:.0%}" for variant in self.variants)
        return f"{self.name}: {shares}"


def running(connection: Connection) -> Experiment | None:
    """The experiment that has not ended."""
    query = select(experiments).where(experiments.c.ended_at.is_(None))
    row = connection.execute(query).one_or_none()
    return None if row is None else _experiment(connection, row)


def all_experiments(connection: Connection) -> tuple[Experiment, ...]:
    """Every experiment there was, oldest first."""
    rows = connection.execute(select(experiments).order_by(experiments.c.since)).all()
    return tuple(_experiment(connection, row) for row in rows)


def is_known(connection: Connection, name: str) -> bool:
    """Whether there is or was an experiment of this name."""
    query = select(experiments.c.name).where(experiments.c.name == name)
    return connection.execute(query).one_or_none() is not None


def begin(connection: Connection, experiment: Experiment) -> None:
    """Write down a new experiment."""
    connection.execute(
        insert(experiments).values(
            name=experiment.name,
            champion=experiment.champion,
            event=experiment.event,
            event_most=experiment.event_most,
            since=experiment.since,
        )
    )
    for position, variant in enumerate(experiment.variants):
        connection.execute(
            insert(experiment_variants).values(
                experiment=experiment.name,
                position=position,
                name=variant.name,
                bundle=variant.bundle,
                share=variant.share,
            )
        )


def take_out(
    connection: Connection, name: str, bundle: BundleId, reason: str, now: datetime
) -> None:
    """Write down that a variant has no share any more."""
    connection.execute(
        update(experiment_variants)
        .where(experiment_variants.c.experiment == name, experiment_variants.c.bundle == bundle)
        .values(out_at=now, out_reason=reason)
    )


def end(connection: Connection, name: str, reason: str, now: datetime) -> None:
    """Write down that an experiment is over."""
    connection.execute(
        update(experiments).where(experiments.c.name == name).values(ended_at=now, reason=reason)
    )


def _experiment(connection: Connection, row: Row[Any]) -> Experiment:
    query = select(experiment_variants).where(experiment_variants.c.experiment == row.name)
    variants = tuple(
        Variant(one.name, one.bundle, one.share, one.out_at, one.out_reason)
        for one in connection.execute(query.order_by(experiment_variants.c.position))
    )
    return Experiment(
        name=row.name,
        champion=row.champion,
        variants=variants,
        since=row.since,
        event=row.event,
        event_most=row.event_most,
        ended_at=row.ended_at,
        reason=row.reason,
    )
