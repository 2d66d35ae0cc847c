"""The hold-out replayed through a live service, and held to what evaluation found."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.errors import EverloopError
from everloop.evaluation.evaluate import Evaluation
from everloop.tasks.task import Learnable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from everloop_runtime.client import Client

_METRIC_TOLERANCE = 0.005
"""How far a metric may be off when every answer is within its own tolerance."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What the live service answered."""

    probabilities: "NDArray[np.float32]"
    """`[N, K]`; a row of NaN where it did not answer."""
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplayVerdict:
    """Whether the live service is what was evaluated."""

    passed: bool
    reasons: tuple[str, ...]
    max_difference: float
    """Of any probability; infinite when an answer is missing."""
    live: Mapping[str, float]
    evaluated: Mapping[str, float]


def replay(client: "Client", images: Sequence[bytes], classes: Sequence[str]) -> Replay:
    """Send each image through the service, one request an image, as a client would."""
    import numpy as np

    rows, failures = np.full((len(images), len(classes)), np.nan, np.float32), []
    for index, image in enumerate(images):
        try:
            given = client.predict(image).probabilities
        except EverloopError as error:
            failures.append(str(error))
            continue
        rows[index] = [given.get(name, float("nan")) for name in classes]
    return Replay(rows, tuple(failures))


def judge_replay(
    evaluation: Evaluation, answers: Replay, tolerance: float, task: Learnable
) -> ReplayVerdict:
    """Hold the live answers to the evaluation's, sample by sample and metric by metric.

    Passed means: every request was answered, no probability differs by more than `tolerance`,
    and no metric by more than 0.005.
    """
    import numpy as np

    difference = np.abs(answers.probabilities - evaluation.probabilities)
    largest = float(difference.max()) if np.isfinite(difference).all() else math.inf
    live = task.score(answers.probabilities, evaluation.labels)
    reasons = []
    if answers.failures:
        reasons.append(f"{len(answers.failures)} requests failed, the first: {answers.failures[0]}")
    if not largest <= tolerance:
        off = int((~(difference.max(axis=1) <= tolerance)).sum())
        reasons.append(
            f"{off} of {len(difference)} live answers differ from evaluation, by up to "
            f"{largest:.3g}; at most {tolerance:g} is allowed"
        )
    for name, value in evaluation.metrics.items():
        if not abs(live[name] - value) <= _METRIC_TOLERANCE:
            reasons.append(f"{name} is {live[name]:.4f} live and was {value:.4f} in evaluation")
    passed = not reasons
    if passed:
        reasons.append(
            f"all {len(difference)} live answers within {largest:.2g}; accuracy "
            f"{live['accuracy']:.4f} as evaluated"
        )
    return ReplayVerdict(passed, tuple(reasons), largest, live, evaluation.metrics)
