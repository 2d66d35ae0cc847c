"""A worker of a study: attempts on one part of the training side, judged on another."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from everloop.data.checks.learnt_columns import refuse_target_leak
from everloop.data.training_data import read_side, side_bytes
from everloop.errors import Refused
from everloop.ids import Json, SnapshotId
from everloop.loop.jobs.folder import JobFolder
from everloop.tasks.task import TableTask
from everloop.training.project_code import fingerprint, load_product, user_line
from everloop.tuning.plan import Plan, read_plan
from everloop_runtime.images import ImageSpec


def tune(job: JobFolder) -> Mapping[str, Json]:
    """How many trials this worker did."""
    # Threads do not survive the fork of a trial: there shall be none here. Read when the
    # libraries of the user's code are first loaded, and lifted in each trial.
    os.environ["OMP_NUM_THREADS"] = "1"
    from everloop.tuning.attempting import Work
    from everloop.tuning.splitting import divide
    from everloop.tuning.study import Budget, Study
    from everloop.tuning.wanted import Wanted
    from everloop.tuning.working import work

    layout, inputs = job.layout, job.inputs
    folder = layout.studies / inputs["study"]
    plan = read_plan(folder)
    if fingerprint(layout.project) != plan.code:
        raise Refused("the project's code changed after this study was begun")
    product = load_product(layout.project)
    if product.search_space is None:
        raise Refused("product.py declares no search space: product.space({...})")
    task, store = job.task, job.data
    snapshot = store.snapshots.open(SnapshotId(plan.snapshot))
    spec = task.input_of(lambda: side_bytes(store, snapshot, "train"))
    data = read_side(store, snapshot, "train", task=task, spec=spec)
    if task.modality == "row" and isinstance(task, TableTask):
        refuse_target_leak(data, task)
    learn, judge = divide(store, data, task, plan.validation, newest=plan.newest)
    if isinstance(spec, ImageSpec):
        # Scaled once here, and not once in each trial.
        learn.images()
    doing = Work(
        product=product,
        task=task,
        learn=learn,
        judge=judge,
        project=layout.project,
        seed=plan.seed,
        threads=plan.threads,
        seconds=inputs["seconds"],
        memory=inputs["memory"],
        watch=plan.watch,
    )
    study = Study(folder, plan, _fits(plan, product.search_space.where, layout.project))
    budget = Budget(inputs["trials"], inputs["core_seconds"])
    done = work(study, inputs["key"], doing, budget, Wanted(folder, inputs["call"]))
    return {"trials": done, "learn": len(learn), "judge": len(judge)}


def _fits(
    plan: Plan, where: "Callable[[Mapping[str, object]], bool] | None", project: Path
) -> "Callable[[Mapping[str, object]], bool]":
    """What the space's `where` says of a point, together with what is not varied."""

    def fits(point: Mapping[str, object]) -> bool:
        if where is None:
            return True
        try:
            return bool(where({**plan.base, **point}))
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            raise Refused(f"{user_line(error, project)}: {told}") from error

    return fits
