"""Cost signals: what a thousand answers take of the machine, and what labels bring.

Core-seconds are those of the service's own processes; a candidate's, which runs in one of its own,
come in when it ends. A point is one percent of accuracy on the hold-out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from everloop.monitoring.finding import Finding
from everloop.monitoring.served import Counters


@dataclass(frozen=True, slots=True)
class Learnt:
    """One judged model: what it learnt from and how good it is."""

    labels: int
    accuracy: float


def cost_findings(
    counted: Counters | None,
    models: Sequence[Learnt],
    *,
    most_core_seconds: float,
    label_price: float,
    since: datetime,
) -> tuple[Finding, ...]:
    """The findings of one period. `models`: oldest first; `most_core_seconds`: 0 sets no limit."""
    found = []
    if counted is not None and counted.answers > 0:
        found += [_cores(counted, most_core_seconds, since), _bytes(counted)]
    if (labels := _labels(models, label_price)) is not None:
        found.append(labels)
    return tuple(found)


def _cores(counted: Counters, most: float, since: datetime) -> Finding:
    each = 1000 * counted.cpu_seconds / counted.answers
    told = f"{each:.3g} core-seconds for a thousand answers"
    if not most or each <= most:
        return Finding("cost-cores", "calm", told, each, most or None)
    return Finding("cost-cores", "alarm", told, each, most, since, cause="cost",
                   action="everloop models list")  # fmt: skip


def _bytes(counted: Counters) -> Finding:
    each = 1000 * counted.capture_bytes / counted.answers
    return Finding("cost-bytes", "calm", f"{each / 1e6:.3g} MB kept of a thousand answers", each)


def _labels(models: Sequence[Learnt], price: float) -> Finding | None:
    """What the latest labels brought: the newest model beside the one learnt from fewer."""
    if len(models) < 2:
        return None
    newest = models[-1]
    older = [model for model in models[:-1] if model.labels < newest.labels]
    if not older:
        return None
    base = older[-1]
    labels, points = newest.labels - base.labels, 100 * (newest.accuracy - base.accuracy)
    if points <= 0:
        told = f"the last {labels} labels brought {points:+.1f} points: are they right?"
        return Finding("cost-labels", "note", told, None, cause="cost",
                       action="everloop data check")  # fmt: skip
    each = labels / points
    money = f", {each * price:.2f} in money" if price else ""
    told = f"{each:.0f} labels a point gained{money}: {labels} for {points:+.1f}"
    return Finding("cost-labels", "calm", told, each)
