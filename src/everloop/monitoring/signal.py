"""One window judged: what changed, whether it hurts, and what each signal says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.ids import Json, SampleId
from everloop.monitoring.accuracy import EstimatedAccuracy
from everloop.monitoring.drift import Drift
from everloop.monitoring.finding import Finding
from everloop.monitoring.period import Limits, findings_of, weigh
from everloop.monitoring.profile import Seen
from everloop.monitoring.signals.input_drift import most_unlike
from everloop.monitoring.signals.slices import slice_drift
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
            "moved": self.accuracy.moved,
            "rehearsed": self.accuracy.rehearsed,
            "reference_accuracy": self.accuracy.reference,
            "findings": told,
        }


def judge_window(watch: Watch, window: "Window", found: Seen, index: int, limits: Limits) -> Signal:
    """The signal of a window that has at least one answer; `found` are its figures."""
    told = weigh(watch, watch.sketch(found), limits, watch.shaped(window.values))
    drift = told.drift
    telling = _telling(watch, window, found) if drift.drifted else ()
    return Signal(
        index=index,
        answers=len(window.ids),
        first_at=window.at[0],
        last_at=window.at[-1],
        drift=drift,
        accuracy=told.accuracy,
        harm=limits.harm,
        findings=(
            *findings_of(told, limits, telling),
            slice_drift(watch, window, found, limits),
        ),
    )


def _telling(watch: Watch, window: "Window", found: Seen) -> Sequence[SampleId]:
    places, _ = most_unlike(watch.holdout, found)
    return tuple(dict.fromkeys(window.samples[place] for place in places))
