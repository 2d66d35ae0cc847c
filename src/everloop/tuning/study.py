"""A study in its folder: which trials it has, and the next one to do."""

import fcntl
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from everloop.errors import Refused
from everloop.tuning.attempting import Ended
from everloop.tuning.journal import Journal
from everloop.tuning.plan import Plan, distributions
from everloop.tuning.sampling import RETRY_OF, Fits, any_point, grid, pruner_of, sampler_of

_WORKER, _STOPPED, _ENDED, _STARTS = "worker", "interrupted", "ended", "deaths"
_HOPELESS = 10
"""So many trials that all failed, and none that did not: no other point will help."""
_MOST_STARTS, _NO_START = 2, 0
"""A trial in which its worker died so often has failed; one that people stopped has not."""


@dataclass(frozen=True, slots=True)
class Budget:
    """When a study is over; None of a bound: by that it never is."""

    trials: int | None
    core_seconds: float | None


def journal_file(folder: Path) -> Path:
    """Where the trials of the study in `folder` are kept."""
    return folder / "journal.log"


class Study:
    """One process's view of a study."""

    def __init__(self, folder: Path, plan: Plan, fits: Fits | None = None) -> None:
        """`fits`: the space's `where`; None in a process that asks for no trial.

        Raises `Refused` when no point fits.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", ExperimentalWarning)
        self.folder = folder
        self.plan = plan
        self._space = distributions(plan.space)
        self._points: int | None = None
        if fits is not None and plan.sampler == "grid":
            self._points = len(grid(plan, fits))
        elif fits is not None:
            any_point(self._space, fits)
        self._storage = JournalStorage(Journal(journal_file(folder)))
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=plan.id,
            direction=plan.goal,
            sampler=None if fits is None else sampler_of(plan, fits),
            pruner=pruner_of(plan),
            load_if_exists=True,
        )

    @property
    def optuna(self) -> optuna.Study:
        """As Optuna has it, for its plots."""
        return self._study

    def trials(self) -> Sequence[FrozenTrial]:
        """All of them but those that were cut short, in the order of their numbers."""
        return [one for one in self._all() if _STOPPED not in one.user_attrs]

    def _all(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def first(self, in_force: Mapping[str, Any]) -> None:
        """Let the study begin with the parameters that are in force, if they lie in the space."""
        space = self.plan.space
        point = {name: in_force[name] for name in space if name in in_force}
        inside = all(name in point and one.holds(point[name]) for name, one in space.items())
        if inside and self.plan.sampler != "grid" and not self._all():
            self._study.enqueue_trial(point, user_attrs={"why": "the parameters in force"})

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One process at a time: a budget is not overdrawn, and each sees what the others do."""
        with (self.folder / "turn.lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def next(self, worker: str, budget: Budget) -> Trial | None:
        """The next trial, which is `worker`'s now; None when the budget is spent.

        Raises `Refused` when no point is valid, and when nothing works.
        """
        with self._turn():
            done = [one for one in self.trials() if one.state != TrialState.WAITING]
            if self._is_spent(done, budget):
                return None
            _refuse_hopeless(done)
            trial = self._study.ask(self._space)
            trial.set_user_attr(_WORKER, worker)
            return trial

    def _is_spent(self, done: Sequence[FrozenTrial], budget: Budget) -> bool:
        bounds = [bound for bound in (budget.trials, self._points) if bound is not None]
        if bounds and len(done) >= min(bounds):
            return True
        used = sum(told_of(one).core_seconds for one in done)
        return budget.core_seconds is not None and used >= budget.core_seconds

    def end(self, trial: Trial, ended: Ended) -> None:
        """Write down what came of a trial, unless somebody took it for lost meanwhile."""
        told = {
            "metrics": dict(ended.metrics),
            "error": ended.error,
            "seconds": ended.seconds,
            "core_seconds": ended.core_seconds,
            "memory_mib": ended.memory_mib,
        }
        try:
            if ended.state == "stopped":
                self._stop_all(lambda one: one.number == trial.number, _NO_START)
                return
            trial.set_user_attr(_ENDED, json.dumps(told))
            if ended.state == "complete":
                self._study.tell(trial, ended.metrics[self.plan.metric])
            else:
                state = TrialState.PRUNED if ended.state == "pruned" else TrialState.FAIL
                self._study.tell(trial, state=state)
        except UpdateFinishedTrialError:
            return

    def stop_lost(self) -> None:
        """Take all trials that run for lost; they are tried again."""
        self._stop_all(lambda _: True, _NO_START)

    def stop_own(self, worker: str) -> None:
        """Take those for lost that `worker` had when it died. They are tried again, but once."""
        self._stop_all(lambda one: one.user_attrs.get(_WORKER) == worker, 1)

    def _stop_all(self, which: Callable[[FrozenTrial], bool], costs: int) -> None:
        with self._turn():
            for one in self._all():
                if which(one):
                    self._stop(one, costs)

    def _stop(self, trial: FrozenTrial, costs: int) -> None:
        if trial.state != TrialState.RUNNING:
            return
        identity, starts = trial._trial_id, int(trial.user_attrs.get(_STARTS, 0)) + costs
        if starts >= _MOST_STARTS:
            told = {"error": f"its worker died {starts} times in it: it may be what ends it"}
            self._storage.set_trial_user_attr(identity, _ENDED, json.dumps(told))
        else:
            self._storage.set_trial_user_attr(identity, _STOPPED, True)
        self._storage.set_trial_state_values(identity, TrialState.FAIL)
        # Without a point it was cut short before that was drawn: there is nothing to try again.
        if starts < _MOST_STARTS and trial.params:
            again = {RETRY_OF: trial.number, _STARTS: starts}
            self._study.enqueue_trial(trial.params, user_attrs=again)


def told_of(trial: FrozenTrial) -> Ended:
    """What was written down of a trial."""
    told = json.loads(trial.user_attrs.get(_ENDED, "{}"))
    return Ended(
        {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}.get(trial.state, "failed"),
        **told,
    )


def _refuse_hopeless(done: Sequence[FrozenTrial]) -> None:
    ended = [one for one in done if one.state.is_finished()]
    if len(ended) >= _HOPELESS and all(one.state == TrialState.FAIL for one in ended):
        last = told_of(ended[-1]).error
        raise Refused(f"all of the first {len(ended)} trials failed; the last one: {last}")
