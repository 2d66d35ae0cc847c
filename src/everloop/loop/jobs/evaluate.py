"""The evaluation job: the bundle itself, through the code that serves it, on the hold-out."""

import math
from collections.abc import Mapping

from everloop.data.training_data import read_side
from everloop.evaluation.evaluate import Evaluation, check_made_for, evaluated, save
from everloop.evaluation.report import save_report
from everloop.ids import BundleId, Json, SnapshotId
from everloop.loop.jobs.folder import JobFolder
from everloop.loop.jobs.study import report_on
from everloop_runtime.admission import Admission, admit
from everloop_runtime.model import Model


def evaluate(job: JobFolder) -> Mapping[str, Json]:
    """The digest of the stored evaluation and its headline figures.

    On the hold-out of its own snapshot, where a bundle is judged as a candidate, also the digest of
    the report on what else was measured, and its facts.
    """
    bundle = BundleId(job.inputs["bundle"])
    snapshot = job.data.snapshots.open(SnapshotId(job.inputs["snapshot"]))
    # Tried here, it need not be tried again by the service that is to serve it.
    model = Model.load(admit(job.layout.bundles / bundle, bundle, Admission()))
    task = job.task
    manifest = model.bundle.manifest
    check_made_for(manifest, task)
    held = read_side(job.data, snapshot, "holdout", task=task, spec=manifest.spec)
    outputs = model.predict(held.inputs)
    known = job.data.samples.known(held.samples)
    evaluation = evaluated(model, outputs, snapshot.id, held, task, known)
    digest = save(job.layout.evaluations, evaluation)
    told = _told(evaluation, digest)
    if manifest.lineage.get("snapshot") != snapshot.id:
        return told
    report = report_on(job, model, held, outputs, evaluation, digest)
    name = save_report(job.layout.evaluations, report)
    return {**told, "report": name, "facts": dict(report.facts)}


def _told(evaluation: Evaluation, digest: str) -> dict[str, Json]:
    return {
        "evaluation": digest,
        "samples": len(evaluation.samples),
        "metrics": {n: v if math.isfinite(v) else None for n, v in evaluation.metrics.items()},
        "quality": evaluation.quality,
        "interval": _bounds(evaluation.interval),
        "intervals": {n: _bounds(each) for n, each in evaluation.intervals.items()},
    }


def _bounds(interval: tuple[float, float]) -> list[Json]:
    return [bound if math.isfinite(bound) else None for bound in interval]
