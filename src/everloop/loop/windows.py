"""A window beside those before it: since when, over many windows, and what labels came to say."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from everloop.action import Entry
from everloop.ids import BundleId
from everloop.loop.audits import latest_audit
from everloop.loop.project import Project
from everloop.monitoring.finding import Finding, findings_in
from everloop.monitoring.signal import Signal
from everloop.monitoring.signals.concept import concept_drift, detect
from everloop.monitoring.signals.known_accuracy import known_accuracy
from everloop.monitoring.signals.river_errors import river_detector
from everloop.monitoring.signals.slow_drift import WINDOWS, is_due, slow_drift
from everloop.monitoring.watch import Watch

_BACK = 100
"""Windows that are looked back at to tell since when."""
_LABELLED = 20_000
"""The newest answers among which labelled ones are looked for."""
_BY_DEGREE = ("value", "boxes")
"""Kinds of label that are near the truth rather than right or wrong."""


def beside(project: Project, watch: Watch, signal: Signal, size: int, bundle: BundleId) -> Signal:
    """The signal with the findings that one window alone does not give, each told since when."""
    found = (*signal.findings, *_labels(project, watch, signal, bundle))
    if is_due(signal.index):
        found = (*found, _slow(project, watch, signal, size, bundle))
    before = [
        entry
        for entry in project.journal.latest("monitor", _BACK)
        if entry.action.inputs["bundle"] == bundle and entry.outcome is not None
    ]
    calm = project.policy.monitor.calm
    told = tuple(since(each, signal.first_at, before, calm) for each in found)
    return replace(signal, findings=told)


def _labels(
    project: Project, watch: Watch, signal: Signal, bundle: BundleId
) -> tuple[Finding, ...]:
    monitor, reference = project.policy.monitor, watch.reference
    audit = latest_audit(project, bundle)
    right, answered = (0, 0) if audit is None else (audit.right, audit.answered)
    known = known_accuracy(right, answered, reference.accuracy, monitor.harm)
    errors, moments = _errors(project, bundle)
    # As often as windows are held wrongly to have drifted, of as many labels.
    rate = monitor.false_alarm_rate / monitor.window
    held = int(reference.correct.sum())
    changed = signal.drift.drifted
    detector = detect if monitor.errors == "e-detector" else river_detector(monitor.errors)
    concept, told = concept_drift(
        errors,
        held,
        len(reference.correct),
        rate,
        input_changed=changed,
        detector=detector,
    )
    if told.alarm is not None:
        concept = replace(concept, since=moments[told.since])
    return known, concept


def _errors(project: Project, bundle: BundleId) -> tuple[list[bool], list[datetime]]:
    """Of the newest answers whose truth clients told: whether each was wrong, and when."""
    truth = project.data.feedback.labels()
    if not truth or project.declaration.task.label_kind in _BY_DEGREE:
        return [], []
    predictions = project.data.predictions
    start = max(0, predictions.count(bundle) - _LABELLED)
    given = [
        (truth[name] != label, at)
        for name, label, at in predictions.labels(bundle, start, _LABELLED)
        if name in truth
    ]
    return [wrong for wrong, _ in given], [at for _, at in given]


def _slow(project: Project, watch: Watch, signal: Signal, size: int, bundle: BundleId) -> Finding:
    start = (signal.index + 1 - WINDOWS) * size
    block = project.data.predictions.window(bundle, start, WINDOWS * size)
    sketch = watch.sketch(watch.see(block.values, block.embeddings, {}))
    return slow_drift(watch, sketch, project.policy.monitor.false_alarm_rate)


def since(finding: Finding, now: datetime, before: Sequence[Entry], calm: int) -> Finding:
    """The finding told since when it is not calm: `before` are the windows before, newest first.

    It had not ceased before there were `calm` windows in a row without it.
    """
    if finding.level == "calm" or finding.since is not None:
        return finding
    began, calm_in_a_row = now, 0
    for entry in before:
        result = entry.outcome.result if entry.outcome is not None else {}
        same = [each for each in findings_in(result) if each.name == finding.name]
        if not same:
            continue
        if same[0].level == "calm":
            calm_in_a_row += 1
            if calm_in_a_row >= calm:
                break
            continue
        calm_in_a_row = 0
        began = min(began, datetime.fromisoformat(str(result["first_at"])))
    return replace(finding, since=began)
