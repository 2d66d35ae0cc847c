"""Service signals: errors, latency, saturation, captures that were lost.

A rate is over its limit when the exact binomial test (Clopper and Pearson 1934) says so at 2.5%:
of periods exactly at a limit, at most 2.5% raise an alarm. Latency is judged the same way, as the
share of answers slower than the limit, of which 5% may be: no assumption on its distribution.
"""

from dataclasses import dataclass
from datetime import datetime

from everloop.monitoring.finding import Finding
from everloop.monitoring.served import Counters, Served

_SLOW_SHARE = 0.05
_LEVEL = 0.025


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """What a service is held to."""

    error_rate: float
    latency_ms: float
    """Within which 95% of the answers are to be."""
    queue: float
    """Images that may wait."""


def service_findings(
    parts: tuple[Served, ...], counted: Counters | None, limits: ServiceLimits, since: datetime
) -> tuple[Finding, ...]:
    """The findings of one period that began at `since`. `counted`: within it; None: unknown."""
    found = [_errors(parts, limits, since), _latency(parts, limits, since)]
    if counted is not None:
        found += [_saturation(counted, limits, since), _captures(counted, since)]
    return tuple(found)


def _errors(parts: tuple[Served, ...], limits: ServiceLimits, since: datetime) -> Finding:
    requests, errors = sum(p.requests for p in parts), sum(p.errors for p in parts)
    if not requests:
        return Finding("service-errors", "calm", "nothing was asked", None, limits.error_rate)
    chances = [_chance(part.errors, part.requests, limits.error_rate) for part in parts]
    least, worst = min(zip(chances, parts, strict=True), key=lambda pair: pair[0])
    # Split over the parts that are looked at (Bonferroni).
    is_over = least * len(parts) < _LEVEL
    told = f"{errors} of {requests} requests failed"
    if not is_over:
        return Finding("service-errors", "calm", told, errors / requests, limits.error_rate)
    return Finding(
        "service-errors", "alarm", f"{told}; {worst.errors} of the {worst.role}'s",
        worst.errors / worst.requests, limits.error_rate, since, _part(worst), cause="service",
        action="everloop rollback",
    )  # fmt: skip


def _latency(parts: tuple[Served, ...], limits: ServiceLimits, since: datetime) -> Finding:
    answered = [part for part in parts if part.answers]
    if not answered:
        return Finding("service-latency", "calm", "nothing was answered", None, limits.latency_ms)
    worst = max(answered, key=lambda p: p.quantile(0.95) or 0.0)
    slowest = worst.quantile(0.95) or 0.0
    slow = int((worst.latencies > limits.latency_ms).sum())
    told = f"95% of the answers of the {worst.role} within {slowest:.1f} ms"
    if _chance(slow, worst.answers, _SLOW_SHARE) * len(answered) >= _LEVEL:
        return Finding("service-latency", "calm", told, slowest, limits.latency_ms)
    return Finding(
        "service-latency", "alarm", told, slowest, limits.latency_ms, since, _part(worst),
        cause="service", action="everloop releases show",
    )  # fmt: skip


def _saturation(counted: Counters, limits: ServiceLimits, since: datetime) -> Finding:
    told = f"{counted.queue:.0f} images wait, {counted.in_flight:.0f} requests are being answered"
    if counted.queue <= limits.queue:
        return Finding("service-saturation", "calm", told, counted.queue, limits.queue)
    return Finding(
        "service-saturation", "alarm", told, counted.queue, limits.queue, since,
        cause="service", action="everloop serve --workers N",
    )  # fmt: skip


def _captures(counted: Counters, since: datetime) -> Finding:
    told = f"{counted.dropped:.0f} answers were given and not captured"
    if counted.dropped <= 0:
        return Finding("capture-drops", "calm", told, 0.0, 0.0)
    return Finding("capture-drops", "alarm", told, counted.dropped, 0.0, since, cause="service",
                   action="everloop status")  # fmt: skip


def _chance(found: int, of: int, share: float) -> float:
    """The chance of so many or more, were the share at its limit."""
    from scipy.special import bdtrc

    return float(bdtrc(found - 1, of, share)) if found else 1.0


def _part(part: Served) -> str:
    return f"bundle={part.bundle[:12]}"
