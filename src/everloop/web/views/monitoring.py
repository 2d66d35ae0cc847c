"""Signals as people read them: each beside its limit, how it went, and what needs somebody."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from everloop.action import Entry
from everloop.loop.alarms import newest_findings
from everloop.loop.world import World
from everloop.monitoring.finding import LEVELS, Finding, findings_in
from everloop.state.alarms import Raised, Silence
from everloop.state.outbox import Letter
from everloop.web.asked import mapping

_WIDE, _HIGH = 120, 32
_POINTS = 40
_GROUPS = (("service", "Service"), ("business", "Business"), ("cost", "Cost"))


@dataclass(frozen=True, slots=True)
class SignalView:
    """One signal."""

    finding: Finding
    line: str
    """Its last figures as points of an SVG polyline, oldest first; empty of fewer than three."""


@dataclass(frozen=True, slots=True)
class ServedView:
    """What one bundle answered in the last period that was looked at."""

    bundle: str
    role: str
    requests: int
    errors: int
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class MonitoringView:
    """The whole page."""

    groups: tuple[tuple[str, tuple[SignalView, ...]], ...]
    served: tuple[ServedView, ...]
    looked: tuple[datetime, datetime] | None
    """The period that `served` is about."""
    alarms: tuple[Raised, ...]
    known: tuple[Raised, ...]
    """Those that somebody has acknowledged."""
    silences: tuple[Silence, ...]
    letters: tuple[Letter, ...]
    reports: tuple[tuple[str, bool], ...]
    """Newest first: the name, and whether it is there as PDF too."""


def monitoring_view(
    world: World,
    standing: Sequence[Raised],
    silences: tuple[Silence, ...],
    letters: tuple[Letter, ...],
    reports: tuple[tuple[str, bool], ...],
) -> MonitoringView:
    """What the page shows; alarms the most urgent first."""
    looks = _looks(world)
    served, looked = _served(looks)
    loud = sorted(standing, key=lambda r: (r.alarm.level != "critical", r.alarm.level == "info"))
    return MonitoringView(
        groups=tuple(_grouped(newest_findings(world), looks)),
        served=served,
        looked=looked,
        alarms=tuple(r for r in loud if r.acked_at is None),
        known=tuple(r for r in loud if r.acked_at is not None),
        silences=silences,
        letters=letters,
        reports=reports,
    )


def _looks(world: World) -> list[Entry]:
    done = [e for e in world.journal.values() if e.outcome is not None and e.outcome.succeeded]
    champion = world.release.champion
    mine = [e for e in done if e.action.inputs.get("bundle", champion) == champion]
    return sorted(
        (e for e in mine if e.outcome is not None and e.outcome.result.get("findings")),
        key=lambda e: e.intended_at,
    )


def _grouped(
    findings: Iterable[Finding], looks: Sequence[Entry]
) -> Iterable[tuple[str, tuple[SignalView, ...]]]:
    """Signals by what they are about, the worst first."""
    views: dict[str, list[SignalView]] = {}
    for finding in sorted(findings, key=lambda f: (-LEVELS.index(f.level), f.name)):
        views.setdefault(_group(finding), []).append(SignalView(finding, _line(finding, looks)))
    for name in ("Inputs and answers", *(title for _, title in _GROUPS)):
        if name in views:
            yield name, tuple(views[name])


def _group(finding: Finding) -> str:
    name = "service" if finding.name == "capture-drops" else finding.name
    return next((t for begin, t in _GROUPS if name.startswith(begin)), "Inputs and answers")


def _line(finding: Finding, looks: Sequence[Entry]) -> str:
    values = [
        found.value
        for entry in looks[-_POINTS:]
        if entry.outcome is not None
        for found in findings_in(entry.outcome.result)
        if found.name == finding.name and found.value is not None
    ]
    if len(values) < 3:
        return ""
    low, high = min(values), max(values)
    step, span = _WIDE / (len(values) - 1), (high - low) or 1.0
    # A figure that never moved is drawn in the middle.
    heights = [(v - low) / span if high > low else 0.5 for v in values]
    return " ".join(
        f"{n * step:.1f},{_HIGH - 3 - h * (_HIGH - 6):.1f}" for n, h in enumerate(heights)
    )


def _served(
    looks: Sequence[Entry],
) -> tuple[tuple[ServedView, ...], tuple[datetime, datetime] | None]:
    newest = next((e for e in reversed(looks) if e.action.kind == "inspect"), None)
    if newest is None or newest.outcome is None:
        return (), None
    told: Any = newest.outcome.result.get("served")
    inputs = newest.action.inputs
    period = (
        datetime.fromisoformat(str(inputs["since"])),
        datetime.fromisoformat(str(inputs["until"])),
    )
    return tuple(_part(mapping(part)) for part in told or ()), period


def _part(told: Mapping[str, Any]) -> ServedView:
    return ServedView(
        bundle=str(told["bundle"]),
        role=str(told["role"]),
        requests=int(told["requests"]),
        errors=int(told["errors"]),
        p50=told["p50"],
        p95=told["p95"],
        p99=told["p99"],
    )
