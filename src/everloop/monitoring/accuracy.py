"""How accurate is the live model, without labels?

Three estimates, each set so that it gives the known accuracy on the hold-out:

- *average thresholded confidence* (Garg et al. 2022): the share of answers more confident than
  the threshold that as many hold-out answers exceed as are right;
- *calibrated confidence*: the mean confidence after the one temperature (Guo et al. 2017) at which
  the hold-out's mean confidence equals its accuracy;
- *moved answers*: the accuracy less twice the share of wrong answers for each part by which the
  answers' figures moved beyond chance. Our own, from what the benchmark shows: the confidence of a
  model that is seldom wrong tells harm from harmless by itself, that of one that is often wrong
  hardly does, and then it is the movement that tells. Where only the shares of the classes
  changed it says nothing.

The lowest is taken (of answers that are not one class of several, the second is left out): under
drift networks tend to be too sure of themselves, which the second cannot see; where they stay
calibrated the first is too low, and people are asked once in vain. Where the bundle knows of damage
that moved the figures in a like way (`everloop.monitoring.rehearsal`), the second is taken,
corrected by what it was off then. New classes and changed meanings of labels can escape all of
them, which is what audits are for.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from everloop.monitoring.calibrated import cooled
from everloop.monitoring.profile import CALIBRATED, CONFIDENCE
from everloop.monitoring.reference import Reference
from everloop.monitoring.sketch import BINS, Sketch
from everloop.monitoring.watch import Watch
from everloop.tasks.task import Exports, Uncertainty
from everloop_runtime.answers.class_probabilities import ClassProbabilities

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORTH = 2.0
_Z95_ONE_SIDED = 1.6448536269514722


class Judged(Uncertainty, Exports, Protocol):
    """What an estimate needs of a task."""


@dataclass(frozen=True, slots=True)
class EstimatedAccuracy:
    """The estimate for one window."""

    value: float
    """The lowest, corrected by what was rehearsed."""
    thresholded: float
    calibrated: float
    moved: float
    reference: float
    """The accuracy on the hold-out."""
    answers: int
    """In the window."""
    held_out: int
    """Samples of the hold-out."""
    rehearsed: float = 0.0
    """How much of what moved was rehearsed, 0 to 1; the rest of `value` is the lowest."""

    @property
    def drop(self) -> float:
        """How much lower than on the hold-out."""
        return self.reference - self.value

    @property
    def sure_drop(self) -> float:
        """The least drop that the sizes of window and hold-out leave plausible.

        The lower end of a one-sided 95% interval of the difference of two proportions (normal
        approximation, Wald).
        """
        spread = self.value * (1 - self.value) / max(self.answers, 1)
        spread += self.reference * (1 - self.reference) / max(self.held_out, 1)
        return self.drop - _Z95_ONE_SIDED * math.sqrt(spread)


def estimate(
    reference: Reference, values: "NDArray[np.float32]", task: Judged, moved: float = 0.0
) -> EstimatedAccuracy:
    """The estimated accuracy of a window's answers, `[n, ...]`, which `moved` so far (see `Drift`).

    Where the kind of answer has no confidence nothing can be estimated: it is that of the hold-out.
    """
    import numpy as np

    held, given = task.confidences(reference.values), task.confidences(values)
    thresholded = calibrated = reference.accuracy
    if np.isfinite(held).all() and np.isfinite(given).all():
        threshold = float(np.quantile(held, 1 - reference.accuracy))
        thresholded = calibrated = float((given >= threshold).mean())
    else:
        moved = 0.0
    if task.answer()["kind"] == ClassProbabilities.name:
        calibrated = float(cooled(values, reference.temperature(task)).mean())
    return _of(reference, thresholded, calibrated, moved, len(values))


def estimate_from_sketch(watch: Watch, sketch: Sketch, moved: float = 0.0) -> EstimatedAccuracy:
    """The same of at least one answer in a sketch; the threshold is the nearest edge of a bin."""
    import numpy as np

    profile, reference = watch.profile, watch.reference
    names, accuracy = profile.grid.names, reference.accuracy
    thresholded = calibrated = accuracy
    if CONFIDENCE in names:
        row = names.index(CONFIDENCE)
        held, given = (
            1 - each.counts[row, :BINS].cumsum() / max(each.present[row], 1)
            for each in (profile.holdout, sketch)
        )
        edge = int(np.abs(held - accuracy).argmin())
        thresholded = calibrated = float(np.clip(given[edge] + accuracy - held[edge], 0, 1))
    else:
        moved = 0.0
    if CALIBRATED in names:
        calibrated = float(sketch.means[names.index(CALIBRATED)])
    return _of(reference, thresholded, calibrated, moved, sketch.answers)


def _of(
    reference: Reference, thresholded: float, calibrated: float, moved: float, answers: int
) -> EstimatedAccuracy:
    accuracy = reference.accuracy
    by_movement = max(0.0, accuracy - _WORTH * (1 - accuracy) * moved)
    return EstimatedAccuracy(
        value=min(thresholded, calibrated, by_movement),
        thresholded=thresholded,
        calibrated=calibrated,
        moved=by_movement,
        reference=reference.accuracy,
        answers=answers,
        held_out=len(reference.correct),
    )
