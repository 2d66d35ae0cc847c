"""Acting: one Action attempted once, its intent journalled before and its outcome after."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from everloop.action import Action, Outcome
from everloop.errors import Conflict, Refused, Unavailable
from everloop.loop.actions.approve import approve
from everloop.loop.actions.clear import clear_tasks
from everloop.loop.actions.collect import collect
from everloop.loop.actions.experiment import end_experiment, experiment, take_out
from everloop.loop.actions.gate import gate
from everloop.loop.actions.ingest import ingest
from everloop.loop.actions.inspect import inspect
from everloop.loop.actions.jobs import evaluate, reproduce, train, verify
from everloop.loop.actions.monitor import monitor
from everloop.loop.actions.prelabel import (
    accept_prelabels,
    calibrate_prelabels,
    withdraw_prelabels,
)
from everloop.loop.actions.record_answers import record_answers
from everloop.loop.actions.register import register
from everloop.loop.actions.relabel import relabel
from everloop.loop.actions.release import canary, deploy, promote, roll_back, roll_out
from everloop.loop.actions.report import report
from everloop.loop.actions.requests import close_request
from everloop.loop.actions.select import select
from everloop.loop.actions.snapshot import snapshot
from everloop.loop.actions.track import track
from everloop.loop.decision import Decision
from everloop.loop.project import Project, Turn

Handler = Callable[[Project, Turn, Action], Outcome]

HANDLERS: Mapping[str, Handler] = {
    "ingest": ingest,
    "collect": collect,
    "record-answers": record_answers,
    "close-request": close_request,
    "snapshot": snapshot,
    "train": train,
    "reproduce": reproduce,
    "track": track,
    "evaluate": evaluate,
    "gate": gate,
    "register": register,
    "approve": approve,
    "verify": verify,
    "canary": canary,
    "promote": promote,
    "rollback": roll_back,
    "deploy": deploy,
    "roll-out": roll_out,
    "experiment": experiment,
    "take-out": take_out,
    "end-experiment": end_experiment,
    "monitor": monitor,
    "inspect": inspect,
    "report": report,
    "select": select,
    "relabel": relabel,
    "clear": clear_tasks,
    "prelabel-rule": calibrate_prelabels,
    "accept": accept_prelabels,
    "withdraw-prelabels": withdraw_prelabels,
}
"""The one short file behind each kind of Action."""

_LONGEST_PAUSE = timedelta(minutes=1)
_log = logging.getLogger(__name__)


def perform(
    project: Project, turn: Turn, decision: Decision, clock: Callable[[], datetime]
) -> Outcome:
    """Attempt the Action of a decision and return its journalled outcome.

    Raises `Conflict` when another controller holds the newest fencing token: nothing was
    written then.
    """
    action = decision.action
    assert action is not None  # noqa: S101 - waiting decisions are not performed
    entry = project.journal.intend(action, decision.arm, decision.reason, turn.fence, turn.now)
    if entry.outcome is not None and entry.outcome.final:
        return entry.outcome
    outcome = _attempt(project, turn, action)
    if outcome.error is not None and not outcome.final:
        outcome = _bounded(project, outcome, entry.failures + 1)
    project.journal.finish(action.key, outcome, turn.fence, clock())
    return outcome


def _attempt(project: Project, turn: Turn, action: Action) -> Outcome:
    try:
        return HANDLERS[action.kind](project, turn, action)
    except Refused as error:
        return Outcome(final=True, error=str(error))
    except (Unavailable, OSError) as error:
        return Outcome(final=False, error=str(error) or type(error).__name__)
    except Conflict:
        raise
    except Exception as error:  # noqa: BLE001 - see below
        # A defect in one Action must not stop the others; it is told in full in the log.
        _log.exception("%s failed", action.key)
        return Outcome(final=False, error=f"{type(error).__name__}: {error}")


def _bounded(project: Project, outcome: Outcome, failures: int) -> Outcome:
    """After too many failures it is final; before that each pause is twice the last."""
    if failures >= project.policy.loop.attempts:
        return Outcome(final=True, error=f"{outcome.error} (given up after {failures} attempts)")
    pause = min(timedelta(seconds=2.0 ** min(failures, 10) / 2), _LONGEST_PAUSE)
    return Outcome(final=False, delay=pause, error=outcome.error)
