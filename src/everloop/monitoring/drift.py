"""Has the input changed? A panel of two-sample tests under one stated rate.

Black-box shift detection (Lipton et al. 2018; Rabanser et al. 2019): figures of the answers (each
softmax output, say, and the confidence), of the embedding (its principal axes, and the length of
what they leave) and of the inputs themselves are compared with the hold-out's by two-sample
Kolmogorov-Smirnov tests on their sketches; a fourth test compares the embeddings jointly (maximum
mean discrepancy). Each of the four gets a quarter of the rate, and Holm's correction (1979; its
first step is Bonferroni's) divides that among the figures of one: the chance that any fires without
a change is at most the stated rate, however they depend on each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from everloop.monitoring.sketch import Sketch
from everloop.monitoring.watch import Watch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FAMILIES = ("answers", "embedding", "inputs")
JOINT = "joint"
_CHANCE = 0.05


@dataclass(frozen=True, slots=True)
class Drift:
    """The answer for one period."""

    drifted: bool
    p_value: float
    """The smallest, corrected: below the false-alarm rate means drift."""
    feature: str
    """The one that moved most, such as `softmax 3` or `embedding axis 0`."""
    statistic: float
    """Its Kolmogorov-Smirnov distance, 0 to 1."""
    families: Mapping[str, float] = field(default_factory=dict)
    """The p-value of each of the four tests, corrected for its own figures only."""
    moved: float = 0.0
    """By how much more than chance the answers' figures moved: the largest of their distances, less
    what a twentieth of unchanged periods exceeds."""


def compare(watch: Watch, sketch: Sketch, false_alarm_rate: float) -> Drift:
    """Compare a period's sketch with the hold-out.

    With independent samples and no change, `drifted` is true for at most a share of
    `false_alarm_rate` of the periods.
    """
    import numpy as np
    from scipy.stats import kstwo

    profile = watch.profile
    distances, effective = _distances(profile.holdout, sketch)
    strength = distances * np.sqrt(effective)
    kinds = np.array(profile.families)
    families: dict[str, float] = {}
    tops: list[tuple[float, float, int]] = []
    for family in FAMILIES:
        rows = np.flatnonzero(kinds == family)
        if len(rows):
            # Of one size, the one that moved most has the smallest p-value.
            top = int(rows[strength[rows].argmax()])
            value = float(kstwo.sf(distances[top], max(np.rint(effective[top]), 1)))
            families[family] = min(1.0, value * len(rows))
            # Where several are beyond what a float can tell, the largest distance names it.
            tops.append((families[family], -float(distances[top]), top))
    held_out = profile.holdout.answers
    families[JOINT] = profile.waves.p_value(sketch.moments, held_out)
    p_value = min(1.0, min(families.values()) * len(families))
    _, apart, row = min(tops)
    moved = _beyond_chance(distances[kinds == FAMILIES[0]], effective[kinds == FAMILIES[0]])
    name = profile.grid.names[row]
    return Drift(p_value < false_alarm_rate, p_value, name, -apart, families, moved)


def _beyond_chance(distances: "NDArray[np.float64]", effective: "NDArray[np.float64]") -> float:
    import numpy as np

    if not len(distances) or not effective.min() > 0:
        return 0.0
    # The first term of Kolmogorov's series, which is a bound.
    chance = np.sqrt(np.log(2 * len(distances) / _CHANCE) / (2 * effective))
    return max(0.0, float((distances - chance).max()))


def _distances(before: Sketch, now: Sketch) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Distance and effective size of each figure, `[F]`; what was not seen has not moved.

    What is missing counts as a value above all others.
    """
    import numpy as np

    sizes = [sketch.counts.sum(axis=1) for sketch in (before, now)]
    shares = [
        sketch.counts.cumsum(axis=1) / np.maximum(size, 1)[:, None]
        for sketch, size in zip((before, now), sizes, strict=True)
    ]
    distances = np.abs(shares[0] - shares[1]).max(axis=1)
    seen = (sizes[0] > 0) & (sizes[1] > 0)
    effective = sizes[0] * sizes[1] / np.maximum(sizes[0] + sizes[1], 1)
    return np.where(seen, distances, 0.0), effective
