"""The study of a new bundle: what its gates may ask and its card shows, beside its metrics."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from everloop.data.training_data import SnapshotSide
from everloop.evaluation.discovery import clusters, discover, picture_attributes
from everloop.evaluation.evaluate import Evaluation
from everloop.evaluation.explain import Importance, importance
from everloop.evaluation.mistakes import confusion
from everloop.evaluation.reliability import Bin, calibration_facts, reliability
from everloop.evaluation.report import Report, finite
from everloop.evaluation.robustness.suite import Robustness, Suite, robustness
from everloop.evaluation.slices import quarters
from everloop.evaluation.speed import size_of, speed_of
from everloop.policy import EvaluationPolicy
from everloop.tasks.detection_scores import coco_by_class
from everloop.tasks.task import Learnable
from everloop_runtime.answers.boxes import Boxes
from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.answers.multi_label import MultiLabel
from everloop_runtime.model import Model, Outputs
from everloop_runtime.rows import RowSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

TIMED = 16
"""How many samples are enough to measure speed."""
_DIFFERENT = 10
_TRIED = 256


def study(
    model: Model,
    held: SnapshotSide,
    outputs: Outputs,
    evaluation: Evaluation,
    task: Learnable,
    policy: EvaluationPolicy,
    originals: Sequence[bytes],
) -> Report:
    """The report on a bundle that was just evaluated, without the worst answers and its pictures.

    `outputs`: what it gave for the hold-out. `originals`: the bytes of the first `TIMED` samples.
    """
    import numpy as np

    facts = {**size_of(model.bundle), **speed_of(model, originals, held.inputs[: len(originals)])}
    if not np.isfinite(outputs.values).all():
        return Report("", finite(facts), notes=("some answers are no numbers",))
    if isinstance(model.kind, Boxes):
        facts |= coco_by_class(outputs.values, held.targets, task.classes)
    bins = _reliability(model, held, evaluation, task.confidences(outputs.values))
    notes: list[str] = []
    tried = _robustness(model, held, task, policy, notes)
    if tried is not None:
        facts |= tried.facts(task.quality)
    facts |= calibration_facts(bins)
    return Report(
        evaluation="",
        # A task's own figure of the same name is the metric.
        facts={n: v for n, v in finite(facts).items() if n not in evaluation.metrics},
        discovery=discover(evaluation, _attributes(held, outputs)),
        reliability=bins,
        confusion=confusion(evaluation, model.kind),
        robustness=tried,
        importance=_importance(model, held, task, policy),
        notes=tuple(notes),
    )


def _reliability(
    model: Model, held: SnapshotSide, evaluation: Evaluation, sure: "NDArray[Any]"
) -> tuple[Bin, ...]:
    """Of answers that come with probabilities; a similarity or a box's score is none."""
    import numpy as np

    if isinstance(model.kind, ClassProbabilities):
        return reliability(sure, evaluation.qualities)
    if isinstance(model.kind, MultiLabel):
        # Of each class by itself: how often it is there when that probability is said.
        return reliability(
            evaluation.values.reshape(-1).astype("float64"), np.asarray(held.targets).reshape(-1)
        )
    return ()


def _robustness(
    model: Model,
    held: SnapshotSide,
    task: Learnable,
    policy: EvaluationPolicy,
    notes: list[str],
) -> Robustness | None:
    if not policy.robustness:
        notes.append("robustness was not tried: [evaluation] robustness is off")
        return None
    suite = Suite(
        policy.corruptions,
        policy.severities,
        policy.robustness_samples,
        policy.budget.total_seconds(),
    )
    return robustness(lambda given: model.predict(given).values, held, task, suite)


def _attributes(held: SnapshotSide, outputs: Outputs) -> dict[str, list[str]]:
    """What parts of the hold-out are told by, beside what is known of its samples."""
    import numpy as np

    spec = held.spec
    if not isinstance(spec, RowSpec):
        return {**picture_attributes(held.inputs), **clusters(outputs.embeddings)}
    found: dict[str, list[str]] = {}
    for column, feature in enumerate(spec.features):
        values = held.inputs[:, column]
        if feature.categories is None and len(np.unique(values)) > _DIFFERENT:
            found[feature.name] = quarters(feature.name, values)
        else:
            found[feature.name] = [_cell(feature.name, feature.categories, v) for v in values]
    return found


def _cell(name: str, categories: tuple[str, ...] | None, value: float) -> str:
    if value != value:
        return f"{name}=missing"
    if categories is None:
        return f"{name}={value:g}"
    return f"{name}={categories[int(value)] if value >= 0 else 'unknown'}"


def _importance(
    model: Model, held: SnapshotSide, task: Learnable, policy: EvaluationPolicy
) -> tuple[Importance, ...]:
    if not policy.explain or not isinstance(held.spec, RowSpec):
        return ()
    rows = held.inputs[: min(len(held), _TRIED)]
    began = time.perf_counter()
    model.predict(rows)
    each = (time.perf_counter() - began) / len(rows)
    # Five deals of each column.
    affordable = int(policy.budget.total_seconds() / max(each * 5 * held.inputs.shape[1], 1e-9))
    count = max(100, min(2000, affordable))
    return importance(lambda given: model.predict(given).values, held, task, count)
