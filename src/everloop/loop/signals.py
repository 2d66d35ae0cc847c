"""The signals as they stand: of the newest windows, or of any period at once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from everloop.ids import BundleId
from everloop.loop.project import Project
from everloop.loop.watching import limits_of, watched
from everloop.monitoring.drift import Drift
from everloop.monitoring.finding import Finding, findings_in
from everloop.monitoring.looks import Alarm, first_alarm
from everloop.monitoring.period import findings_of, weigh
from everloop.monitoring.sketch import Sketch, merged

_BACK = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """What each signal said last."""

    bundle: BundleId
    summary: str | None
    """Of the newest window; None before the first."""
    window: int | None
    findings: tuple[Finding, ...]
    running: int
    """Answers since that window."""
    early: Alarm | None
    """What they show already, before they are a window; None: nothing."""


@dataclass(frozen=True, slots=True)
class Over:
    """What the signals say of a period, from its sketches alone."""

    bundle: BundleId
    answers: int
    first: datetime | None
    last: datetime | None
    sketches: int
    """So many were merged."""
    findings: tuple[Finding, ...] = ()
    drift: Drift | None = None
    """None where there was no answer."""


def standing(project: Project, bundle: BundleId) -> Standing:
    """The newest finding of each signal about a bundle's answers, the newest window's first."""
    newest: dict[str, Finding] = {}
    summary, window = None, None
    for entry in project.journal.latest("monitor", _BACK):
        outcome = entry.outcome
        if entry.action.inputs["bundle"] != bundle or outcome is None or not outcome.succeeded:
            continue
        if window is None:
            summary = str(outcome.result.get("summary"))
            window = int(str(entry.action.inputs["window"]))
        for finding in findings_in(outcome.result):
            newest.setdefault(finding.name, finding)
    size = project.policy.monitor.window
    start = (project.data.predictions.count(bundle) // size) * size
    answers, early = _running(project, bundle, start, size)
    return Standing(bundle, summary, window, tuple(newest.values()), answers, early)


def _running(project: Project, bundle: BundleId, start: int, size: int) -> tuple[int, Alarm | None]:
    """The answers that are no whole window yet, looked at without spending more than its rate."""
    begun = project.data.predictions.window(bundle, start, size)
    if not begun.ids:
        return 0, None
    of = watched(project, bundle)
    found = of.watch.see(begun.values, begun.embeddings, {})
    rate = project.policy.monitor.false_alarm_rate
    return len(begun.ids), first_alarm(of.watch, found, rate)


def over(project: Project, bundle: BundleId, now: datetime, period: timedelta) -> Over:
    """The signals over the time until now, whatever was judged before. Reads no answer."""
    found = project.data.sketches.period(bundle, now - period, now)
    told = (bundle, found.answers, found.first, found.last, len(found.sketches))
    if not found.answers:
        return Over(*told)
    sketch = merged([Sketch.unpacked(part) for part in found.sketches])
    of = watched(project, bundle)
    limits = limits_of(project)
    weighed = weigh(of.watch, sketch, limits)
    return Over(*told, findings_of(weighed, limits), weighed.drift)
