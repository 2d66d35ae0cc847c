"""The verification job: the hold-out replayed through the candidate's own live service."""

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

from everloop.data.owner import owner_only
from everloop.evaluation.evaluate import load
from everloop.ids import BundleId, Json
from everloop.loop.jobs.folder import JobFolder
from everloop.rollout.replay import judge_replay, replay
from everloop.rollout.service import candidate_service
from everloop_runtime.bundle import open_bundle
from everloop_runtime.client import Sample
from everloop_runtime.rows import RowSpec, read_row


def verify(job: JobFolder) -> Mapping[str, Json]:
    """Whether the live service gives the answers and the metrics of evaluation."""
    bundle = BundleId(job.inputs["bundle"])
    evaluation = load(job.layout.evaluations, job.inputs["evaluation"])
    opened = open_bundle(job.layout.bundles / bundle, bundle)
    originals = owner_only(job.data.samples, evaluation.samples)
    samples: list[Sample] = list(originals)
    if isinstance(opened.manifest.spec, RowSpec):
        samples = [read_row(row) for row in originals]
    with tempfile.TemporaryDirectory(dir=job.path) as scratch:
        service = candidate_service(
            tuple(job.inputs["service"]), bundle, job.layout.bundles, Path(scratch)
        )
        with service as client:
            answers = replay(client, samples, opened.answers)
    tolerance = job.inputs["tolerance"]
    verdict = judge_replay(evaluation, answers, tolerance, job.task, opened.answers)
    return {
        "passed": verdict.passed,
        "reasons": list(verdict.reasons),
        "samples": len(samples),
        "max_difference": min(verdict.max_difference, 1.0),
        "live": {n: v if math.isfinite(v) else None for n, v in verdict.live.items()},
        "evaluated": {n: v if math.isfinite(v) else None for n, v in verdict.evaluated.items()},
    }
