"""What the evaluation job adds to the study of a bundle: the worst answers, with pictures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from everloop.data.owner import owner_only
from everloop.data.training_data import SnapshotSide
from everloop.errors import Refused
from everloop.evaluation.evaluate import Evaluation
from everloop.evaluation.explain import occlusion_map
from everloop.evaluation.mistakes import worst
from everloop.evaluation.pictures import with_boxes, with_map
from everloop.evaluation.report import Example, Report
from everloop.evaluation.study import TIMED, study
from everloop.ids import PolicyVersion, SampleId
from everloop.loop.jobs.folder import JobFolder
from everloop.loop.jobs.rendering import MakeRenderer
from everloop.policy import EvaluationPolicy, PrivacyPolicy
from everloop.privacy.rules import rules_in_force
from everloop.training.project_code import fingerprint
from everloop_runtime.answers.boxes import Boxes
from everloop_runtime.files import write_atomic
from everloop_runtime.model import Model, Outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def report_on(
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
    originals = owner_only(job.data.samples, held.samples[:TIMED])
    made = study(model, held, outputs, evaluation, job.task, policy, originals)
    if not np.isfinite(outputs.values).all():
        return replace(made, evaluation=digest)
    notes = list(made.notes)
    examples, version = _examples(job, model, held, evaluation, policy, notes)
    return replace(made, evaluation=digest, examples=examples, privacy=version, notes=tuple(notes))


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
