"""The training job: from a snapshot to a bundle."""

import resource
import time
from collections.abc import Mapping

from everloop.data.owner import owner_only
from everloop.data.training_data import read_side, side_bytes
from everloop.errors import Refused
from everloop.evaluation.card import bundle_card
from everloop.evaluation.evaluate import measured
from everloop.ids import Json, SnapshotId
from everloop.loop.jobs.folder import JobFolder
from everloop.monitoring.reference import build_reference
from everloop.training.assemble import assemble
from everloop.training.attempt import Attempt, environment, hardware, read_figures, run_training
from everloop.training.calibration import choose_threshold
from everloop.training.project_code import fingerprint, load_product
from everloop_runtime.bundle import BundleDraft, build_bundle, stated_input
from everloop_runtime.golden import golden_files

_GOLDEN = 8
"""How many real inputs travel with the bundle."""
_RIGHT = 0.5
"""The quality from which on an answer counts as right, where there is more than right and wrong."""


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
    spec = task.input_of(lambda: side_bytes(store, snapshot, "train"))
    data = read_side(store, snapshot, "train", task=task, spec=spec)
    attempt = Attempt(job.path, inputs["seed"])
    model = run_training(
        product,
        data,
        inputs["params"],
        attempt,
        threads=inputs["threads"],
        project=layout.project,
    )
    held = read_side(store, snapshot, "holdout", task=task, spec=spec)
    wanted = inputs.get("calibration", "temperature") == "temperature"
    made = assemble(model, data, held, task, calibrate=wanted)
    answers = made.holdout.values
    right = task.qualities(answers, held.targets) >= _RIGHT
    reference = build_reference(answers, made.holdout.embeddings, right, made.training.embeddings)
    first = owner_only(store.samples, held.samples[:_GOLDEN])
    golden = golden_files(first, answers[: len(first)], made.kind.output)
    draft = BundleDraft(
        product=product.name,
        task=dict(task.declaration()),
        input=stated_input(spec),
        answer=dict(made.answer),
        classes=task.classes,
        lineage={
            "run": inputs["key"],
            "snapshot": inputs["snapshot"],
            "code": inputs["code"],
            "params": inputs["params"],
            "seed": inputs["seed"],
            "environment": installed,
        },
        calibration=made.calibration,
        thresholds=choose_threshold(task.confidences(answers), right, inputs.get("precision", 0.0)),
    )
    card = bundle_card(draft, measured(answers, snapshot.id, held, task), trained_on=len(data))
    files = {"model.onnx": made.onnx, "reference.npz": reference, "card.md": card.encode()}
    files |= {**made.files, **golden}
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
