"""A study from its command: workers started, watched and recorded, and its end told."""

import fcntl
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.compute.job import Failed, JobState, Running, Succeeded
from everloop.errors import Conflict, Refused, Unavailable
from everloop.ids import ActionKey, Json, SnapshotId
from everloop.loop.actions.jobs import job_state
from everloop.loop.project import Project
from everloop.registry.studies import StudyRecord
from everloop.space import goal_of
from everloop.tasks.task import learnable
from everloop.tuning.plan import Plan, Pruner, Sampler
from everloop.tuning.wanted import stay_wanted, want_no_more
from everloop_runtime.ids import digest_json

if TYPE_CHECKING:
    from everloop.tuning.results import Tried
    from everloop.tuning.study import Study

_PAUSE = 0.3
_WORKER = timedelta(days=365)
"""A worker has no time of its own: each of its trials has."""


@dataclass(frozen=True, slots=True)
class Search:
    """How points are chosen and judged."""

    sampler: Sampler
    pruner: Pruner | None
    """None: `median` where the space says what to watch."""
    seed: int
    validation: float


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is spent on a study; None of a bound: it has none."""

    trials: int | None
    """Of the study in all."""
    core_hours: float | None
    """The same."""
    time: timedelta | None
    """Of this call."""
    workers: int


Watch = Callable[[int, "Tried | None"], None]
"""Told how many trials are over, and the best."""


def plan_of(project: Project, snapshot: SnapshotId, search: Search) -> Plan:
    """The study of what is declared now, on a snapshot; `Refused` when no space is declared."""
    task, policy = learnable(project.declaration.task), project.policy
    space = project.declaration.space
    if space is None:
        raise Refused(
            "product.py declares no search space; say beside the training function what to vary: "
            'product.space({"learning_rate": Float(1e-4, 1e-1, log=True)})'
        )
    watch = space["watch"]
    if search.pruner not in (None, "none") and watch is None:
        raise Refused(
            f"--pruner {search.pruner} looks at a figure that the training function logs; say "
            'which: product.space(..., watch="loss")'
        )
    metric = space["metric"] or task.quality
    return Plan(
        product=project.declaration.product,
        snapshot=snapshot,
        code=project.declaration.code,
        dimensions=space["dimensions"],
        metric=metric,
        goal=space["goal"] or goal_of(metric),
        watch=watch,
        base={n: v for n, v in policy.train.params.items() if n not in space["dimensions"]},
        seed=policy.train.seed,
        threads=policy.train.threads,
        sampler=search.sampler,
        pruner=search.pruner or ("none" if watch is None else "median"),
        search_seed=search.seed,
        validation=search.validation,
        newest=policy.data.split == "time",
    )


def run_study(project: Project, plan: Plan, effort: Effort, watch: Watch) -> dict[str, Json]:
    """Do trials until the effort is spent, and what the study has found since it was begun.

    Killed at any moment and called again with the same plan, it goes on. Raises `Conflict` while
    another process works at the same study, `Refused` when no worker can do any trial.
    """
    from everloop.tuning.plots import draw
    from everloop.tuning.results import summary
    from everloop.tuning.study import Study

    folder = project.layout.studies / plan.id
    folder.mkdir(parents=True, exist_ok=True)
    plan.save(folder)
    with _alone(folder):
        # Workers of a call that was killed end by themselves; their trials are tried again.
        want_no_more(folder)
        study = Study(folder, plan)
        study.stop_lost()
        study.first(project.policy.train.params)
        book = _Book(project, study)
        try:
            states = _follow(project, study, effort, book, watch)
        finally:
            want_no_more(folder)
        study.stop_lost()
        book.catch_up(patient=True)
        shutil.rmtree(folder / "trials", ignore_errors=True)
        plots = draw(study, folder / "plots")
        told = summary(study)
        book.close(told)
    reasons = [state.reason for state in states if isinstance(state, Failed)]
    if reasons and not any(isinstance(state, Succeeded) for state in states):
        raise Refused(reasons[0])
    return {
        **told,
        "plots": {name: str(path) for name, path in plots.items()},
        "lost_workers": list(reasons),
    }


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("another everloop tune works at the same study now") from error
        yield


def _follow(
    project: Project, study: "Study", effort: Effort, book: "_Book", watch: Watch
) -> list[JobState]:
    """The workers' ends."""
    from everloop.tuning.results import best, tried

    call, began, beat = secrets.token_hex(8), time.monotonic(), 0
    spent = effort.time.total_seconds() if effort.time else float("inf")
    inputs: dict[str, Json] = {
        "study": study.plan.id,
        "call": call,
        "trials": effort.trials,
        "core_seconds": None if effort.core_hours is None else effort.core_hours * 3600,
        "seconds": project.policy.train.timeout.total_seconds(),
        "memory": project.policy.train.memory,
    }
    keys = [
        ActionKey(f"tune-{digest_json([study.plan.id, call, number])[:32]}")
        for number in range(effort.workers)
    ]
    while True:
        if time.monotonic() - began < spent:
            beat += 1
            stay_wanted(study.folder, call, beat)
        else:
            want_no_more(study.folder)
        states = [job_state(project, key, "tune", inputs, _WORKER) for key in keys]
        book.catch_up(patient=False)
        found = tried(study)
        watch(len(found), next(iter(best(found, study.plan.goal)), None))
        if not any(isinstance(state, Running) for state in states):
            return states
        time.sleep(_PAUSE)


class _Book:
    """The study's record in the tracker, kept up to date; a tracker that is busy is waited for."""

    def __init__(self, project: Project, study: "Study") -> None:
        self._book = project.studies
        self._study = study
        plan = study.plan
        params: dict[str, Json] = {
            "metric": plan.metric,
            "goal": plan.goal,
            "sampler": plan.sampler,
            "pruner": plan.pruner,
            "seed": plan.search_seed,
            "validation": plan.validation,
            **{f"space.{name}": str(told) for name, told in plan.dimensions.items()},
        }
        tags = {"everloop.snapshot": plan.snapshot, "everloop.code": plan.code}
        self._run = self._book.open(StudyRecord(plan.id, f"tune-{plan.id[:8]}", params, tags))
        self._done = set(self._book.recorded(self._run))

    def catch_up(self, *, patient: bool) -> None:
        """Record what is over and was not; where the tracker is busy, later unless `patient`."""
        from everloop.tuning.results import record_of

        began = time.monotonic()
        for one in self._study.trials():
            if not one.state.is_finished() or one.number in self._done:
                continue
            # A thousand quick trials must not keep this from looking after the workers.
            if not patient and time.monotonic() - began > 1:
                return
            folder = self._study.folder / "trials" / str(one.number)
            try:
                self._book.record(self._run, record_of(one, self._study.plan.base, folder))
            except Unavailable:
                if patient:
                    raise
                return
            self._done.add(one.number)
            # Its figures and artifacts are in the tracker; a thousand checkpoints would fill disks.
            shutil.rmtree(folder, ignore_errors=True)

    def close(self, told: dict[str, Json]) -> None:
        """Record what was found."""
        counts = ("trials", "complete", "pruned", "failed", "core_seconds")
        metrics = {name: float(str(told[name])) for name in counts}
        first = told["best"]
        if isinstance(first, dict):
            metrics[f"best_{self._study.plan.metric}"] = float(str(first["value"]))
        self._book.close(self._run, metrics, self._study.folder / "plots")
