"""The hold-out replayed through a live service, and held to what evaluation found."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.errors import EverloopError
from everloop.evaluation.evaluate import Evaluation
from everloop.tasks.task import Scorer
from everloop_runtime.answers.kind import AnswerKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from everloop_runtime.client import Client, Sample

_METRIC_TOLERANCE = 0.005
"""How far a metric may be off when every answer is within its own tolerance."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What the live service answered."""

    values: "NDArray[np.float32]"
    """`[N, ...]`, as the kind of answer has them; NaN where it did not answer."""
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplayVerdict:
    """Whether the live service is what was evaluated."""

    passed: bool
    reasons: tuple[str, ...]
    max_difference: float
    """Of any answer, as its kind measures it; infinite when one is missing."""
    live: Mapping[str, float]
    evaluated: Mapping[str, float]


def replay(client: "Client", samples: "Sequence[Sample]", kind: AnswerKind) -> Replay:
    """Send each sample through the service, one request a sample, as a client would."""
    import numpy as np

    values, failures = np.full((len(samples), *kind.shape), np.nan, np.float32), []
    for index, sample in enumerate(samples):
        try:
            values[index] = kind.read(client.predict(sample).told)
        except EverloopError as error:
            failures.append(str(error))
    return Replay(values, tuple(failures))


def judge_replay(
    evaluation: Evaluation, answers: Replay, tolerance: float, task: Scorer, kind: AnswerKind
) -> ReplayVerdict:
    """Hold the live answers to the evaluation's, sample by sample and metric by metric.

    Passed means: every request was answered, no answer differs by more than `tolerance`, and no
    metric by more than 0.005.
    """
    # As clients would have been told them: a kind of answer may keep something to itself.
    expected = _told(evaluation.values, kind)
    difference = kind.distance(answers.values, expected)
    largest = float(difference.max())
    targets = task.targets(evaluation.labels)
    live, evaluated = task.score(answers.values, targets), task.score(expected, targets)
    reasons = []
    if answers.failures:
        reasons.append(f"{len(answers.failures)} requests failed, the first: {answers.failures[0]}")
    if not largest <= tolerance:
        off = int((~(difference <= tolerance)).sum())
        reasons.append(
            f"{off} of {len(difference)} live answers differ from evaluation, by up to "
            f"{largest:.3g}; at most {tolerance:g} is allowed"
        )
    for name, value in evaluated.items():
        if not _near(live[name], value):
            reasons.append(f"{name} is {live[name]:.4f} live and was {value:.4f} in evaluation")
    passed = not reasons
    if passed:
        name = next(iter(live))
        reasons.append(
            f"all {len(difference)} live answers within {largest:.2g}; {name} "
            f"{live[name]:.4f} as evaluated"
        )
    return ReplayVerdict(passed, tuple(reasons), largest, live, evaluated)


def _near(live: float, evaluated: float) -> bool:
    """Whether a metric is the same; one that says nothing of these answers says it both times."""
    if math.isnan(evaluated):
        return math.isnan(live)
    return abs(live - evaluated) <= _METRIC_TOLERANCE * max(1.0, abs(evaluated))


def _told(values: "NDArray[np.float32]", kind: AnswerKind) -> "NDArray[np.float32]":
    import numpy as np

    return np.stack([kind.read(json.loads(b"{%b}" % told.body)) for told in kind.tell(values)])
