"""One window's signal: what changed, whether it hurts, and the figures behind that."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from everloop.ids import Json
from everloop.monitoring.accuracy import EstimatedAccuracy, estimate
from everloop.monitoring.drift import Drift, compare
from everloop.monitoring.reference import Reference
from everloop.tasks.task import Learnable

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
        }


def judge_window(
    reference: Reference,
    window: "Window",
    task: Learnable,
    *,
    index: int,
    false_alarm_rate: float,
    harm: float,
) -> Signal:
    """The signal of a window that has at least one answer."""
    # Captures keep the numbers of an answer in one row.
    values = window.values.reshape(len(window.ids), *reference.values.shape[1:])
    return Signal(
        index=index,
        answers=len(window.ids),
        first_at=window.at[0],
        last_at=window.at[-1],
        drift=compare(reference, values, window.embeddings, false_alarm_rate, task),
        accuracy=estimate(reference, values, task),
        harm=harm,
    )
