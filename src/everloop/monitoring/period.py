"""A period weighed by its sketch, however many answers it has, and what each signal says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.ids import SampleId
from everloop.monitoring.accuracy import EstimatedAccuracy, estimate, estimate_from_sketch
from everloop.monitoring.drift import Drift, compare
from everloop.monitoring.finding import Cause, Finding
from everloop.monitoring.signals.harm import estimated_harm
from everloop.monitoring.signals.input_drift import input_drift
from everloop.monitoring.signals.label_shift import label_shift
from everloop.monitoring.signals.quality import data_quality
from everloop.monitoring.sketch import Sketch
from everloop.monitoring.watch import Watch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Limits:
    """What the policy says of signals."""

    false_alarm_rate: float
    harm: float
    classes: tuple[str, ...] = ()
    """The names of the classes, for those who read what is found."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a sketch says by itself."""

    drift: Drift
    quality: Finding
    shift: Finding
    cause: Cause
    accuracy: EstimatedAccuracy


def weigh(
    watch: Watch,
    sketch: Sketch,
    limits: Limits,
    values: "NDArray[np.float32] | None" = None,
) -> Weighed:
    """A sketch of at least one answer, weighed; `values` are its answers where they are at hand."""
    rate = limits.false_alarm_rate
    drift = compare(watch, sketch, rate)
    quality = data_quality(watch, sketch, rate)
    shift = label_shift(watch, sketch, rate, limits.classes)
    cause = likely_cause(drift, quality, shift)
    # Where only the shares of the classes changed, answers move and are as good as before.
    moved = 0.0 if cause == "prior" else drift.moved
    if values is None:
        accuracy = estimate_from_sketch(watch, sketch, moved)
    else:
        accuracy = estimate(watch.reference, values, watch.task, moved)
    if watch.rehearsal is not None:
        accuracy = watch.rehearsal.corrected(watch, sketch, accuracy)
    return Weighed(drift, quality, shift, cause, accuracy)


def findings_of(
    told: Weighed, limits: Limits, telling: Sequence[SampleId] = ()
) -> tuple[Finding, ...]:
    """What each signal says of what was weighed."""
    drift, cause = told.drift, told.cause
    return (
        told.quality,
        input_drift(drift, limits.false_alarm_rate, telling, cause),
        told.shift,
        estimated_harm(
            told.accuracy, limits.harm, drifted=drift.drifted, telling=telling, cause=cause
        ),
    )


def likely_cause(drift: Drift, quality: Finding, shift: Finding) -> Cause:
    """What is likely behind a change: broken inputs before other classes before other inputs.

    Other shares of the classes alone leave the inputs' own figures as they were.
    """
    if quality.level != "calm":
        return "quality"
    if shift.level != "calm" and drift.families.get("inputs", 1.0) > drift.p_value:
        return "prior"
    return "input"
