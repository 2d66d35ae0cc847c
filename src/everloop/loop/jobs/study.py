"""The study of a new bundle: what its card shows and its gates may ask, beside its metrics."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from everloop.data.owner import owner_only
from everloop.data.training_data import SnapshotSide
from everloop.errors import Refused
from everloop.evaluation.discovery import clusters, discover, picture_attributes
from everloop.evaluation.evaluate import Evaluation
from everloop.evaluation.explain import Importance, importance, occlusion_map
from everloop.evaluation.mistakes import confusion, worst
from everloop.evaluation.pictures import with_boxes, with_map
from everloop.evaluation.reliability import Bin, calibration_facts, reliability
from everloop.evaluation.report import Example, Report, finite
from everloop.evaluation.robustness.suite import Robustness, Suite, robustness
from everloop.evaluation.slices import quarters
from everloop.evaluation.speed import size_of, speed_of
from everloop.ids import PolicyVersion, SampleId
from everloop.loop.jobs.folder import JobFolder
from everloop.loop.jobs.rendering import MakeRenderer
from everloop.policy import EvaluationPolicy, PrivacyPolicy
from everloop.privacy.rules import rules_in_force
from everloop.tasks.detection_scores import coco_by_class
from everloop.tasks.task import Learnable
from everloop.training.project_code import fingerprint
from everloop_runtime.answers.boxes import Boxes
from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.answers.multi_label import MultiLabel
from everloop_runtime.files import write_atomic
from everloop_runtime.model import Model, Outputs
from everloop_runtime.rows import RowSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TIMED = 16
_DIFFERENT = 10


def study(
    job: JobFolder,
    model: Model,
    held: SnapshotSide,
    outputs: Outputs,
    evaluation: Evaluation,
    digest: str,
) -> Report:
    """The report on a bundle that was just evaluated; its pictures lie beside its card."""
    import numpy as np

    policy = EvaluationPolicy.model_validate(job.inputs.get("study", {}))
    task = job.task
    facts = {**size_of(model.bundle), **_speed(job, model, held)}
    if not np.isfinite(outputs.values).all():
        return Report(digest, finite(facts), notes=("some answers are no numbers",))
    sure = task.confidences(outputs.values)
    if isinstance(model.kind, Boxes):
        facts |= coco_by_class(outputs.values, held.targets, task.classes)
    bins = _reliability(model, held, evaluation, sure)
    notes: list[str] = []
    tried = _robustness(model, held, task, policy, notes)
    if tried is not None:
        facts |= tried.facts(task.quality)
    examples, version = _examples(job, model, held, evaluation, policy, notes)
    return Report(
        evaluation=digest,
        # A task's own figure of the same name is the metric.
        facts={n: v for n, v in finite({**facts, **calibration_facts(bins)}).items()
               if n not in evaluation.metrics},
        discovery=discover(evaluation, _attributes(held, outputs)),
        reliability=bins,
        confusion=confusion(evaluation, model.kind),
        examples=examples,
        robustness=tried,
        importance=_importance(model, held, task, policy),
        privacy=version,
        notes=tuple(notes),
    )  # fmt: skip


def _reliability(
    model: Model, held: SnapshotSide, evaluation: Evaluation, sure: "NDArray[Any]"
) -> tuple[Bin, ...]:
    """Of answers that come with probabilities; a similarity or a box's score is none."""
    if isinstance(model.kind, ClassProbabilities):
        return reliability(sure, evaluation.qualities)
    if isinstance(model.kind, MultiLabel):
        # Of each class by itself: how often it is there when that probability is said.
        return reliability(
            evaluation.values.reshape(-1).astype("float64"), held.targets.reshape(-1)
        )
    return ()


def _speed(job: JobFolder, model: Model, held: SnapshotSide) -> Mapping[str, float]:
    originals = owner_only(job.data.samples, held.samples[:_TIMED])
    return speed_of(model, originals, held.inputs[:_TIMED])


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
    rows = held.inputs[: min(len(held), 256)]
    began = time.perf_counter()
    model.predict(rows)
    each = (time.perf_counter() - began) / len(rows)
    # Five deals of each column.
    affordable = int(policy.budget.total_seconds() / max(each * 5 * held.inputs.shape[1], 1e-9))
    count = max(100, min(2000, affordable))
    return importance(lambda given: model.predict(given).values, held, task, count)


# Pictures.


def _examples(
    job: JobFolder,
    model: Model,
    held: SnapshotSide,
    evaluation: Evaluation,
    policy: EvaluationPolicy,
    notes: list[str],
) -> tuple[tuple[Example, ...], PolicyVersion | None]:
    values = evaluation.values
    sure = job.task.confidences(values)
    rows = worst(evaluation, sure, policy.examples)
    told = model.kind.tell(values[list(rows)]) if rows else []
    shown: Mapping[SampleId, bytes | str] = {}
    version = None
    if job.task.modality == "image" and rows:
        version, shown = _renditions(job, [held.samples[row] for row in rows], notes)
    found = []
    for row, answer in zip(rows, told, strict=True):
        sample = held.samples[row]
        rendition = shown.get(sample)
        name = None
        if isinstance(rendition, bytes) and version is not None:
            name = f"{sample}.{version[:16]}.jpg"
            picture = _picture(model, held, row, rendition, evaluation, policy)
            write_atomic(job.layout.card_pictures(evaluation.bundle) / name, picture)
        why = rendition if isinstance(rendition, str) else ""
        confidence = float(sure[row]) if sure[row] == sure[row] else None
        found.append(
            Example(
                sample,
                held.texts[row],
                answer.label,
                confidence,
                float(evaluation.qualities[row]),
                name,
                why,
            )
        )
    return tuple(found), version


def _picture(
    model: Model,
    held: SnapshotSide,
    row: int,
    rendition: bytes,
    evaluation: Evaluation,
    policy: EvaluationPolicy,
) -> bytes:
    if isinstance(model.kind, Boxes):
        return with_boxes(rendition, held.texts[row], evaluation.values[row], model.kind)
    heat: NDArray[Any] | None = occlusion_map(model, held.inputs[row]) if policy.explain else None
    return with_map(rendition, heat)


def _renditions(
    job: JobFolder, samples: Sequence[SampleId], notes: list[str]
) -> tuple[PolicyVersion | None, Mapping[SampleId, bytes | str]]:
    """What labellers would see of samples, or why nothing, under the privacy policy in force."""
    inputs = job.inputs
    if inputs.get("privacy") is None:
        notes.append("no pictures: it was not said which privacy policy is in force")
        return None, {}
    policy = PrivacyPolicy.model_validate(inputs["privacy"])
    code = inputs["code"] if inputs["moderates"] else None
    if code is not None and fingerprint(job.layout.project) != code:
        notes.append("no pictures: the project's code changed since this was decided")
        return None, {}
    rules = rules_in_force(policy, job.layout.project, code)
    if rules.version is None:
        notes.append(f"no pictures: the privacy gate is closed: {rules.closed}")
        return None, {}
    return rules.version, dict(_rendered(job, samples, rules.version))


def _rendered(
    job: JobFolder, samples: Sequence[SampleId], version: PolicyVersion
) -> Iterator[tuple[SampleId, bytes | str]]:
    known = job.data.renditions.of(samples, version)
    missing = [sample for sample in samples if sample not in known]
    for sample, facts in known.items():
        if facts.held is not None or facts.id is None:
            yield sample, f"held back: {facts.held or 'no picture could be made'}"
        else:
            yield sample, job.data.renditions.read(facts.id)
    if not missing:
        return
    inputs = job.inputs
    project = job.layout.project if inputs["moderates"] else None
    try:
        render = MakeRenderer(inputs["privacy"], inputs["limits"], project)()
    except Refused as error:
        yield from ((sample, f"no filter: {error}") for sample in missing)
        return
    for sample, data in zip(missing, owner_only(job.data.samples, missing), strict=True):
        made = render(sample, data)
        yield sample, made.data if made.held is None else f"held back: {made.held}"
