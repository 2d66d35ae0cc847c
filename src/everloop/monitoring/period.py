"""A period judged from its sketch alone, however many answers it has."""

from everloop.monitoring.accuracy import estimate_from_sketch
from everloop.monitoring.drift import Drift
from everloop.monitoring.finding import Finding
from everloop.monitoring.signal import Limits, likely_cause
from everloop.monitoring.signals.harm import estimated_harm
from everloop.monitoring.signals.input_drift import input_drift
from everloop.monitoring.signals.label_shift import label_shift
from everloop.monitoring.signals.quality import data_quality
from everloop.monitoring.sketch import Sketch
from everloop.monitoring.watch import Watch


def judge_period(watch: Watch, sketch: Sketch, drift: Drift, limits: Limits) -> tuple[Finding, ...]:
    """What each signal says of at least one answer. No sample is named: none is in a sketch."""
    rate = limits.false_alarm_rate
    quality = data_quality(watch, sketch, rate)
    shift = label_shift(watch, sketch, rate, limits.classes)
    cause = likely_cause(drift, quality, shift)
    accuracy = estimate_from_sketch(watch, sketch)
    harm = estimated_harm(accuracy, limits.harm, drifted=drift.drifted, cause=cause)
    return (quality, input_drift(drift, rate, cause=cause), shift, harm)
