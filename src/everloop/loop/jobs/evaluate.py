"""The evaluation job: the bundle itself, through the code that serves it, on the hold-out."""

import math
from collections.abc import Mapping

from everloop.data.training_data import read_side
from everloop.evaluation.evaluate import check_made_for, save
from everloop.evaluation.evaluate import evaluate as measure
from everloop.ids import BundleId, Json, SnapshotId
from everloop.loop.jobs.folder import JobFolder
from everloop_runtime.admission import Admission, admit
from everloop_runtime.model import Model


def evaluate(job: JobFolder) -> Mapping[str, Json]:
    """The digest of the stored evaluation and its headline figures."""
    bundle = BundleId(job.inputs["bundle"])
    snapshot = job.data.snapshots.open(SnapshotId(job.inputs["snapshot"]))
    # Tried here, it need not be tried again by the service that is to serve it.
    model = Model.load(admit(job.layout.bundles / bundle, bundle, Admission()))
    task = job.task
    manifest = model.bundle.manifest
    check_made_for(manifest, task)
    held = read_side(job.data, snapshot, "holdout", task=task, spec=manifest.spec)
    evaluation = measure(model, snapshot.id, held, task)
    digest = save(job.layout.evaluations, evaluation)
    return {
        "evaluation": digest,
        "samples": len(evaluation.samples),
        "metrics": {n: v if math.isfinite(v) else None for n, v in evaluation.metrics.items()},
        "quality": evaluation.quality,
        "interval": [bound if math.isfinite(bound) else None for bound in evaluation.interval],
    }
