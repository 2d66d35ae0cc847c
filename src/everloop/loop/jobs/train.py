"""The training job: from a snapshot to a bundle."""

import resource
import time
from collections.abc import Mapping

from everloop.data.checks.learnt_columns import refuse_target_leak
from everloop.data.owner import owner_only
from everloop.data.training_data import read_side, side_bytes
from everloop.errors import Refused
from everloop.ids import Json, SnapshotId
from everloop.loop.jobs.bundling import GOLDEN, Learnt, bundle_of
from everloop.loop.jobs.folder import JobFolder
from everloop.tasks.task import TableTask
from everloop.training.attempt import Attempt, environment, hardware, read_figures, run_training
from everloop.training.project_code import fingerprint, load_product


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
    if task.modality == "row" and isinstance(task, TableTask):
        refuse_target_leak(data, task)
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
    learnt = Learnt(
        product=product.name,
        task=task,
        snapshot=snapshot.id,
        data=data,
        held=held,
        golden=owner_only(store.samples, held.samples[:GOLDEN]),
        lineage={
            "run": inputs["key"],
            "snapshot": inputs["snapshot"],
            "code": inputs["code"],
            "params": inputs["params"],
            "seed": inputs["seed"],
            "environment": installed,
        },
        calibrate=inputs.get("calibration", "temperature") == "temperature",
        precision=inputs.get("precision", 0.0),
    )
    bundle = bundle_of(layout.bundles, model, learnt)
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
