"""The training job: from a snapshot to a bundle."""

import resource
import time
from collections.abc import Mapping

from everloop.data.owner import owner_only
from everloop.data.training_data import read_side
from everloop.errors import Refused
from everloop.evaluation.card import bundle_card
from everloop.evaluation.evaluate import measured
from everloop.ids import Json, SnapshotId
from everloop.loop.jobs.folder import JobFolder
from everloop.monitoring.reference import build_reference
from everloop.training.attempt import Attempt, environment, hardware, read_figures, run_training
from everloop.training.calibration import calibrated, choose_threshold
from everloop.training.export import export
from everloop.training.project_code import fingerprint, load_product
from everloop_runtime.bundle import BundleDraft, InputSpec, build_bundle
from everloop_runtime.golden import golden_files
from everloop_runtime.model import Graph

_GOLDEN = 8
"""How many real inputs travel with the bundle."""
_COMPARED = 64
"""On how many the exported graph is compared with the framework."""


def train(job: JobFolder) -> Mapping[str, Json]:
    """Learn, export, and build the bundle; its id is the result.

    The bundle holds nothing that differs between two runs of the same inputs (no time, no
    duration), so on one machine it has the same id again.
    """
    began, installed = time.monotonic(), environment()
    layout, inputs = job.layout, job.inputs
    if fingerprint(layout.project) != inputs["code"]:
        raise Refused("the project's code changed after this training was decided")
    product = load_product(layout.project)
    snapshot = job.data.snapshots.open(SnapshotId(inputs["snapshot"]))
    store, task = job.data, job.task
    data = read_side(store, snapshot, "train", classes=task.classes, spec=task.spec())
    attempt = Attempt(job.path, inputs["seed"])
    model = run_training(
        product,
        data,
        inputs["params"],
        attempt,
        threads=inputs["threads"],
        project=layout.project,
    )
    graph = export(model, data.pixels[:_COMPARED], len(task.classes))
    held = read_side(store, snapshot, "holdout", classes=task.classes, spec=task.spec())
    wanted = inputs.get("calibration", "temperature") == "temperature"
    graph, calibration, on_holdout = calibrated(
        graph,
        held.pixels,
        held.indices,
        lambda answers: task.score(answers, held.indices)["expected_calibration_error"],
        wanted=wanted,
    )
    on_training = Graph(graph).run(data.pixels)
    reference = build_reference(
        on_holdout.probabilities,
        on_holdout.embeddings,
        held.indices,
        on_training.embeddings,
    )
    first = owner_only(store.samples, held.samples[:_GOLDEN])
    golden = golden_files(first, on_holdout.probabilities[: len(first)])
    draft = BundleDraft(
        product=product.name,
        task=dict(task.declaration()),
        input=InputSpec(
            height=data.pixels.shape[1], width=data.pixels.shape[2], channels=task.channels
        ),
        classes=task.classes,
        lineage={
            "run": inputs["key"],
            "snapshot": inputs["snapshot"],
            "code": inputs["code"],
            "params": inputs["params"],
            "seed": inputs["seed"],
            "environment": installed,
        },
        calibration=calibration,
        thresholds=choose_threshold(
            on_holdout.probabilities, held.indices, inputs.get("precision", 0.0)
        ),
    )
    card = bundle_card(
        draft, measured(on_holdout.probabilities, snapshot.id, held, task), trained_on=len(data)
    )
    files = {"model.onnx": graph, "reference.npz": reference, "card.md": card.encode(), **golden}
    bundle = build_bundle(layout.bundles, draft, files)
    figures = {name: value for _, name, value, _ in read_figures(job.path)}
    usage = resource.getrusage(resource.RUSAGE_SELF)
    job.write(
        "attempt.json",
        {
            "environment": installed,
            "hardware": hardware(),
            "metrics": {
                **figures,
                "training_seconds": time.monotonic() - began,
                "core_seconds": usage.ru_utime + usage.ru_stime,
                "peak_memory_mib": usage.ru_maxrss / 1024,
            },
        },
    )
    return {"bundle": bundle, "train": len(data), "holdout": len(held.samples)}
