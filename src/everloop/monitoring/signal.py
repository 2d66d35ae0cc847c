"""One window judged: what changed, whether it hurts, and what each signal says of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.ids import Json, SampleId
from everloop.monitoring.accuracy import EstimatedAccuracy, estimate
from everloop.monitoring.drift import Drift, compare
from everloop.monitoring.finding import Cause, Finding
from everloop.monitoring.profile import Seen
from everloop.monitoring.signals.harm import estimated_harm
from everloop.monitoring.signals.input_drift import input_drift, most_unlike
from everloop.monitoring.signals.label_shift import label_shift
from everloop.monitoring.signals.quality import data_quality
from everloop.monitoring.watch import Watch

if TYPE_CHECKING:
    from everloop.data.predictions import Window


@dataclass(frozen=True, slots=True)
class Signal:
    """The judgement of one window of answers."""

    index: int
    answers: int
    first_at: datetime
    last_at: datetime
    drift: Drift
    accuracy: EstimatedAccuracy
    harm: float
    """The limit: a larger estimated loss is harm."""
    findings: tuple[Finding, ...] = ()
    """What each signal says."""

    @property
    def harmful(self) -> bool:
        """The input changed, and by more than chance the estimated loss is over the limit."""
        return self.drift.drifted and self.accuracy.sure_drop > self.harm

    @property
    def summary(self) -> str:
        """One line for people."""
        drift, accuracy = self.drift, self.accuracy
        state = (
            "harmful drift" if self.harmful else "drift, not harmful" if drift.drifted else "calm"
        )
        return (
            f"{state}; p {drift.p_value:.2g} ({drift.feature}); estimated accuracy "
            f"{accuracy.value:.3f}, {accuracy.reference:.3f} on the hold-out"
        )

    def as_json(self) -> dict[str, Json]:
        """All figures by name."""
        told: list[Any] = [finding.as_json() for finding in self.findings]
        return {
            "summary": self.summary,
            "window": self.index,
            "answers": self.answers,
            "first_at": self.first_at.isoformat(),
            "last_at": self.last_at.isoformat(),
            "drifted": self.drift.drifted,
            "harmful": self.harmful,
            "p_value": self.drift.p_value,
            "feature": self.drift.feature,
            "statistic": self.drift.statistic,
            "estimated_accuracy": self.accuracy.value,
            "thresholded": self.accuracy.thresholded,
            "calibrated": self.accuracy.calibrated,
            "reference_accuracy": self.accuracy.reference,
            "findings": told,
        }


@dataclass(frozen=True, slots=True)
class Limits:
    """What the policy says of signals."""

    false_alarm_rate: float
    harm: float
    classes: tuple[str, ...] = ()
    """The names of the classes, for those who read what is found."""


def judge_window(watch: Watch, window: "Window", found: Seen, index: int, limits: Limits) -> Signal:
    """The signal of a window that has at least one answer; `found` are its figures."""
    sketch = watch.sketch(found)
    rate = limits.false_alarm_rate
    drift = compare(watch, sketch, rate)
    values = watch.shaped(window.values)
    accuracy = estimate(watch.reference, values, watch.task)
    signal = Signal(
        index=index,
        answers=len(window.ids),
        first_at=window.at[0],
        last_at=window.at[-1],
        drift=drift,
        accuracy=accuracy,
        harm=limits.harm,
    )
    quality = data_quality(watch, sketch, rate)
    shift = label_shift(watch, sketch, rate, limits.classes)
    cause = likely_cause(drift, quality, shift)
    telling = _telling(watch, window, found) if drift.drifted else ()
    findings = (
        quality,
        input_drift(drift, rate, telling, cause),
        shift,
        estimated_harm(accuracy, limits.harm, drifted=drift.drifted, telling=telling, cause=cause),
    )
    return replace(signal, findings=findings)


def likely_cause(drift: Drift, quality: Finding, shift: Finding) -> Cause:
    """What is likely behind a change: broken inputs before other classes before other inputs.

    Other shares of the classes alone leave the inputs' own figures as they were.
    """
    if quality.level != "calm":
        return "quality"
    if shift.level != "calm" and drift.families.get("inputs", 1.0) > drift.p_value:
        return "prior"
    return "input"


def _telling(watch: Watch, window: "Window", found: Seen) -> Sequence[SampleId]:
    places, _ = most_unlike(watch.holdout, found)
    return tuple(dict.fromkeys(window.samples[place] for place in places))
