"""The loop's figures for Prometheus: read from the stores at each look, so that a dead loop shows.

The series are bounded: kinds, levels, states and signals come from the code, and of bundles only
those that are live or tried are named.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from everloop.loop.alarms import newest_findings
from everloop.loop.controller import LEASE
from everloop.loop.project import LEASE_TTL, Project
from everloop.loop.world import World
from everloop.monitoring.finding import LEVELS

if TYPE_CHECKING:
    from prometheus_client.core import Metric

Kind: TypeAlias = Literal["gauge", "counter"]
_MOST_SERIES = 200
"""Of one name; further ones are added up under "other"."""
_ID = 12
"""As the service names bundles in its own figures."""


@dataclass(frozen=True, slots=True)
class Family:
    """One name with its series."""

    name: str
    text: str
    kind: Kind
    labels: tuple[str, ...]
    series: Mapping[Any, float]
    """By the values of its labels: a tuple of texts."""


def families(project: Project, world: World, now: datetime) -> Iterator[Family]:
    """Everything of the loop that is worth a figure."""
    yield from _loop(project, now)
    yield from _actions(project)
    yield from _queues(project, world)
    yield from _release(world)
    yield from _alarms(project, now)
    yield from _signals(world)


def text(found: Iterable[Family]) -> bytes:
    """Figures in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    made = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}

    class Told:
        def collect(self) -> "Iterator[Metric]":
            for family in found:
                metric = made[family.kind](family.name, family.text, labels=family.labels)
                for values, figure in _bounded(family.series).items():
                    metric.add_metric(values, figure)
                yield metric

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Told())
    return generate_latest(registry)


def _bounded(series: Mapping[Any, float]) -> Mapping[Any, float]:
    if len(series) <= _MOST_SERIES:
        return series
    kept = dict(list(series.items())[:_MOST_SERIES])
    for labels, figure in list(series.items())[_MOST_SERIES:]:
        other = ("other",) * len(labels)
        kept[other] = kept.get(other, 0.0) + figure
    return kept


def _one(name: str, text: str, value: float, kind: Kind = "gauge") -> Family:
    return Family(name, text, kind, (), {(): value})


def _loop(project: Project, now: datetime) -> Iterator[Family]:
    renewed = project.leases.renewed(LEASE, LEASE_TTL)
    runs = project.leases.holder(LEASE) is not None and renewed is not None
    is_turning = runs and renewed is not None and now - renewed < LEASE_TTL
    yield _one("everloop_loop_running", "Whether a controller takes turns.", float(is_turning))
    if renewed is not None:
        yield _one(
            "everloop_loop_turn_timestamp_seconds", "When its latest turn began.",
            renewed.timestamp(),
        )  # fmt: skip


def _actions(project: Project) -> Iterator[Family]:
    counts: dict[tuple[str, str], float] = {}
    seconds: dict[tuple[str], float] = {}
    for kind, outcome, count, lasted in project.journal.tally():
        counts[kind, outcome] = float(count)
        if outcome != "open":
            seconds[kind,] = seconds.get((kind,), 0.0) + lasted
    yield Family("everloop_actions", "Actions that are over.", "counter", ("kind", "outcome"),
                 {key: n for key, n in counts.items() if key[1] != "open"})  # fmt: skip
    yield Family("everloop_action_seconds", "From intent to outcome, in sum.", "counter",
                 ("kind",), seconds)  # fmt: skip
    yield Family("everloop_actions_open", "Actions begun and not over.", "gauge", ("kind",),
                 {(key[0],): n for key, n in counts.items() if key[1] == "open"})  # fmt: skip


def _queues(project: Project, world: World) -> Iterator[Family]:
    tasks: dict[Any, float] = {(status,): float(n) for status, n in project.queue.counts().items()}
    labels = {("train",): float(world.labels.train), ("holdout",): float(world.labels.holdout)}
    yield Family("everloop_label_tasks", "Label tasks.", "gauge", ("status",),
                 {("open",): 0.0, **tasks})  # fmt: skip
    yield Family("everloop_labelled_samples", "Labelled samples.", "gauge", ("side",), labels)
    yield _one("everloop_samples_held", "Samples that privacy holds back.", world.gate.held)
    yield _one("everloop_segments_waiting", "Sealed segments of captures that wait for the store.",
               len(world.segments))  # fmt: skip
    yield _one("everloop_requests_waiting", "What people asked the loop for and wait for.",
               len(world.requests))  # fmt: skip
    yield _one("everloop_sources_unreachable", "Sources that do not answer.",
               sum(source.trouble is not None for source in world.sources))  # fmt: skip


def _release(world: World) -> Iterator[Family]:
    release, candidate = world.release, world.release.canary
    yield _one("everloop_release_generation", "Grows with each change of what serves.",
               release.generation)  # fmt: skip
    yield _one("everloop_answers_stored", "Captured answers of the champion in the store.",
               world.answers)  # fmt: skip
    champion = {} if release.champion is None else {(release.champion[:_ID],): 1.0}
    yield Family("everloop_champion_info", "Which bundle is the champion.", "gauge", ("bundle",),
                 champion)  # fmt: skip
    shares = (
        {} if candidate is None else {(candidate.bundle[:_ID], candidate.mode): candidate.share}
    )
    yield Family("everloop_candidate_share", "What is tried, and its share of traffic.", "gauge",
                 ("bundle", "mode"), shares)  # fmt: skip
    yield Family(
        "everloop_service_bundles", "Bundles by what the service made of them.", "gauge",
        ("state",),
        {} if world.service is None else {
            ("ready",): float(len(world.service.loaded)),
            ("failed",): float(len(world.service.failed)),
        },
    )  # fmt: skip


def _alarms(project: Project, now: datetime) -> Iterator[Family]:
    standing = project.alarms.standing()
    counts = Counter((r.alarm.what, r.alarm.level) for r in standing)
    letters = project.outbox.undelivered()
    oldest = min((letter.made_at for letter in letters), default=now)
    yield Family("everloop_alarms", "Alarms that stand.", "gauge", ("what", "level"),
                 {key: float(count) for key, count in counts.items()})  # fmt: skip
    yield _one("everloop_alarms_unacknowledged", "Warnings and worse that nobody knows of.",
               sum(r.acked_at is None and r.alarm.level != "info" for r in standing))  # fmt: skip
    yield _one("everloop_messages_undelivered", "Messages on their way.", len(letters))
    yield _one("everloop_messages_oldest_seconds", "The age of the oldest of them.",
               (now - oldest).total_seconds())  # fmt: skip


def _signals(world: World) -> Iterator[Family]:
    found = newest_findings(world)
    values = {(f.name,): f.value for f in found if f.value is not None}
    limits = {(f.name,): f.limit for f in found if f.limit is not None}
    levels = {(f.name,): float(LEVELS.index(f.level)) for f in found}
    yield Family("everloop_signal_value", "The newest figure.", "gauge", ("signal",), values)
    yield Family("everloop_signal_limit", "Its limit.", "gauge", ("signal",), limits)
    yield Family("everloop_signal_level", "0 calm, 1 note, 2 alarm.", "gauge", ("signal",), levels)
