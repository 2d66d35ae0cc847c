"""What a worker does: one trial after the other, until the budget is spent or nobody wants more."""

import math
from collections.abc import Callable
from dataclasses import replace

from optuna.trial import Trial

from everloop.errors import Refused
from everloop.space import goal_of
from everloop.tuning.attempting import Ended, Work, attempt
from everloop.tuning.study import Budget, Study


def work(
    study: Study, worker: str, doing: Work, budget: Budget, is_wanted: Callable[[], bool]
) -> int:
    """How many trials this worker did.

    Raises `Refused` when the study makes no sense: no valid point, a metric that there is not,
    nothing but failures.
    """
    study.stop_own(worker)
    done = 0
    while is_wanted() and (trial := study.next(worker, budget)) is not None:
        study.end(trial, _one(study, trial, doing, is_wanted))
        done += 1
    return done


def _one(study: Study, trial: Trial, doing: Work, is_wanted: Callable[[], bool]) -> Ended:
    plan = study.plan
    # Optuna's pruners take the study's own direction for all that they are told.
    turned = -1.0 if plan.watch and goal_of(plan.watch) != plan.goal else 1.0

    def go_on(step: int, value: float) -> bool:
        if plan.pruner == "none" or not math.isfinite(value):
            return True
        trial.report(turned * value, step)
        return not trial.should_prune()

    ended = attempt(
        doing,
        {**plan.base, **trial.params},
        study.folder / "trials" / str(trial.number),
        go_on=go_on,
        is_wanted=is_wanted,
    )
    return _judged(study, trial, ended) if ended.state == "complete" else ended


def _judged(study: Study, trial: Trial, ended: Ended) -> Ended:
    """The trial, which has failed if the metric is no number; `Refused` if there is no such one."""
    metric = study.plan.metric
    if metric not in ended.metrics:
        told = f"there is no metric {metric!r}; there are: {', '.join(sorted(ended.metrics))}"
        study.end(trial, replace(ended, state="failed", metrics={}, error=told))
        raise Refused(told)
    finite = {name: value for name, value in ended.metrics.items() if math.isfinite(value)}
    if metric in finite:
        return replace(ended, metrics=finite)
    told = f"its {metric} is {ended.metrics[metric]}: the model gives answers that are no numbers"
    return replace(ended, state="failed", metrics=finite, error=told)
