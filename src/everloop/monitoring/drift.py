"""Has the input changed? Two-sample tests on what the model makes of it.

Black-box shift detection (Lipton et al. 2018; Rabanser et al. 2019): what the task watches of an
answer (each softmax output, say) and each principal axis of the embedding is compared with the
hold-out's by a two-sample Kolmogorov-Smirnov test; Holm's correction (1979) holds the chance that
any of them fires without a change to the stated false-alarm rate, however the features depend on
each other.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.monitoring.reference import Reference
from everloop.tasks.task import DriftFeatures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Drift:
    """The answer for one window."""

    drifted: bool
    p_value: float
    """The smallest, corrected: below the false-alarm rate means drift."""
    feature: str
    """The one that moved most, such as `softmax 3` or `embedding axis 0`."""
    statistic: float
    """Its Kolmogorov-Smirnov distance, 0 to 1."""


def compare(
    reference: Reference,
    values: "NDArray[np.float32]",
    embeddings: "NDArray[np.float32]",
    false_alarm_rate: float,
    task: DriftFeatures,
) -> Drift:
    """Compare a window's answers `[n, ...]` and embeddings `[n, D]` with the reference.

    With independent samples and no change, `drifted` is true for at most a share of
    `false_alarm_rate` of the windows.
    """
    from scipy.stats import ks_2samp

    before, now = task.drift_features(reference.values), task.drift_features(values)
    features = {name: (before[name], now[name]) for name in before}
    projected = reference.project(embeddings)
    features |= {
        f"embedding axis {column}": (reference.projected[:, column], projected[:, column])
        for column in range(reference.projected.shape[1])
    }
    results = {name: ks_2samp(a, b) for name, (a, b) in features.items()}
    feature = min(results, key=lambda name: (results[name].pvalue, name))
    # The smallest p-value decides whether any is rejected: Holm's first step is Bonferroni's.
    p_value = min(1.0, float(results[feature].pvalue) * len(results))
    return Drift(p_value < false_alarm_rate, p_value, feature, float(results[feature].statistic))
