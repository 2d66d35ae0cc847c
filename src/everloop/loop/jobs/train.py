"""The training job: from a snapshot to a bundle."""

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from everloop.compute.ends import PROGRESS
from everloop.data.checks.learnt_columns import refuse_target_leak
from everloop.data.owner import owner_only
from everloop.data.training_data import SnapshotSide, read_side, side_bytes
from everloop.errors import Refused
from everloop.ids import BundleId, Json, SnapshotId
from everloop.labels import decode, names_in
from everloop.loop.jobs.bundling import GOLDEN, Learnt, bundle_of
from everloop.loop.jobs.folder import JobFolder
from everloop.product import Product
from everloop.tasks.task import Learnable, TableTask
from everloop.training.attempt import Attempt, return_line, run_training
from everloop.training.figures import read_figures
from everloop.training.limits import limit_memory, tell_stack
from everloop.training.meter import Meter
from everloop.training.project_code import (
    CODE,
    DIFF,
    code_files,
    fingerprint,
    load_product,
    shown_line,
)
from everloop.training.surroundings import code_state, environment, hardware
from everloop_runtime.ids import digest_file


@dataclass(frozen=True, slots=True)
class _Trained:
    bundle: BundleId
    train: int
    holdout: int


def train(job: JobFolder) -> Mapping[str, Json]:
    """Learn, export, and build the bundle; its id is the result.

    The bundle holds nothing that differs between two runs of the same inputs (no time, no
    duration), so on one machine it has the same id again.
    """
    trained = _recorded(job, job.layout.bundles)
    return {"bundle": trained.bundle, "train": trained.train, "holdout": trained.holdout}


def reproduce(job: JobFolder) -> Mapping[str, Json]:
    """The same for a run that was done before: its bundle stays in the job's own folder."""
    bundles = job.path / "bundles"
    trained = _recorded(job, bundles)
    model = digest_file(bundles / trained.bundle / "model.onnx")
    return {"bundle": trained.bundle, "model": model}


def _recorded(job: JobFolder, bundles: Path) -> _Trained:
    """Learn; what it ran in and what it cost is written down however it ends."""
    installed, meter = environment(), Meter(job.path)
    tell_stack(job.path)
    limit_memory(job.inputs.get("memory", 0.0))
    told = {"environment": installed, "git": _keep_code(job)}
    job.write("attempt.json", {**told, "hardware": hardware()})
    try:
        return _learn(job, bundles, installed, meter)
    finally:
        meter.keep()
        last = {name: value for _, name, value, _ in read_figures(job.path)}
        figures = {name: value for name, value in last.items() if math.isfinite(value)}
        # Now it tells of GPUs too: the user's code has loaded its framework.
        job.write(
            "attempt.json",
            {**told, "hardware": hardware(), "metrics": {**figures, **meter.usage()}},
        )


def _keep_code(job: JobFolder) -> Mapping[str, str]:
    """The project's files as they are, beside the record; what git says of them is returned."""
    project = job.layout.project
    shutil.rmtree(job.path / CODE, ignore_errors=True)
    for file in code_files(project):
        place = job.path / CODE / file.relative_to(project)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    state = code_state(project)
    if state.diff:
        (job.path / DIFF).write_text(state.diff, encoding="utf-8")
    return state.facts


def _learn(job: JobFolder, bundles: Path, installed: Mapping[str, str], meter: Meter) -> _Trained:
    layout, inputs = job.layout, job.inputs
    if fingerprint(layout.project) != inputs["code"]:
        raise Refused("the project's code changed after this training was decided")
    product = load_product(layout.project)
    snapshot = job.data.snapshots.open(SnapshotId(inputs["snapshot"]))
    store, task = job.data, job.task
    spec = task.input_of(lambda: side_bytes(store, snapshot, "train"))
    data = read_side(store, snapshot, "train", task=task, spec=spec)
    refuse_empty_classes(data, task, shown_line(*product.where, layout.project))
    if task.modality == "row" and isinstance(task, TableTask):
        refuse_target_leak(data, task)
    model = _model(job, product, data, meter)
    held = read_side(store, snapshot, "holdout", task=task, spec=spec)
    learnt = Learnt(
        product=product.name,
        task=task,
        snapshot=snapshot.id,
        data=data,
        held=held,
        golden=owner_only(store.samples, held.samples[:GOLDEN]),
        lineage={
            "run": inputs.get("of", inputs["key"]),
            "snapshot": inputs["snapshot"],
            "code": inputs["code"],
            "params": inputs["params"],
            "seed": inputs["seed"],
            "environment": installed,
        },
        calibrate=inputs.get("calibration", "temperature") == "temperature",
        precision=inputs.get("precision", 0.0),
    )
    try:
        bundle = bundle_of(bundles, model, learnt)
    except Refused as error:
        line = return_line(product.training_function, layout.project)
        raise Refused(f"{line}: what the training function returned: {error}") from error
    return _Trained(bundle, len(data), len(held.samples))


def _model(job: JobFolder, product: Product, data: SnapshotSide, meter: Meter) -> object:
    inputs = job.inputs

    def kept(step: int) -> None:
        meter.keep(step)
        (job.path / PROGRESS).touch()

    attempt = Attempt(job.path, inputs["seed"], every=inputs.get("checkpoint", 0.0), kept=kept)
    return run_training(
        product,
        data,
        inputs["params"],
        attempt,
        threads=inputs["threads"],
        project=job.layout.project,
    )


def refuse_empty_classes(data: SnapshotSide, task: Learnable, where: str) -> None:
    """Raise `Refused`, naming them and the line that declares them, when nothing shows a class.

    A model cannot learn them, and would answer as if they did not exist.
    """
    if not task.classes:
        return
    shown = {name for text in set(data.texts) for name in names_in(decode(text))}
    if missing := [name for name in task.classes if name not in shown]:
        told = ", ".join(repr(name) for name in missing[:10])
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise Refused(
            f"{where}: no training sample shows {told}{more}, which the product declares; label "
            "some, or take them out of its classes"
        )
