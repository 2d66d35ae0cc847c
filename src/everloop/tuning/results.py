"""What a study has found so far, as tables and JSON want it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from everloop.ids import Json
from everloop.registry.studies import TrialRecord
from everloop.space import Goal, Value
from everloop.training.figures import read_figures
from everloop.tuning.study import Study, told_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial that is over."""

    number: int
    state: State
    value: float | None
    """Of the study's metric; None where it did not come to its end."""
    params: Mapping[str, Value]
    metrics: Mapping[str, float]
    error: str | None
    seconds: float
    core_seconds: float

    def as_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "trial": self.number,
            "state": self.state,
            "value": self.value,
            "params": dict(self.params),
            "metrics": dict(self.metrics),
            "error": self.error,
            "seconds": round(self.seconds, 3),
            "core_seconds": round(self.core_seconds, 3),
        }


def tried(study: Study) -> list[Tried]:
    """All trials that are over, in the order of their numbers."""
    return [_tried(one) for one in study.trials() if one.state.is_finished()]


def best(found: Sequence[Tried], goal: Goal) -> list[Tried]:
    """Those that came to their end, the best first, of equals the earlier."""
    sign = -1.0 if goal == "maximize" else 1.0
    whole = [(sign * one.value, one.number, one) for one in found if one.value is not None]
    return [one for _, _, one in sorted(whole, key=lambda each: each[:2])]


def summary(study: Study) -> dict[str, Json]:
    """The study in a few words, with its best trial; `best` is None where none came to its end."""
    found, plan = tried(study), study.plan
    first = next(iter(best(found, plan.goal)), None)
    states = [one.state for one in found]
    return {
        "study": plan.id,
        "snapshot": plan.snapshot,
        "metric": plan.metric,
        "goal": plan.goal,
        "trials": len(found),
        "complete": states.count("complete"),
        "pruned": states.count("pruned"),
        "failed": states.count("failed"),
        "core_seconds": round(sum(one.core_seconds for one in found), 1),
        "best": None if first is None else first.as_json(),
        "params": None if first is None else {**plan.base, **first.params},
    }


def record_of(trial: "FrozenTrial", base: Mapping[str, Any], folder: Path) -> TrialRecord:
    """A trial that is over, as the tracker records it; `folder`: its own."""
    ended = told_of(trial)
    now = datetime.now(UTC)
    begun, over = trial.datetime_start, trial.datetime_complete
    costs = {
        "training_seconds": ended.seconds,
        "core_seconds": ended.core_seconds,
        "peak_memory_mib": ended.memory_mib,
    }
    artifacts = folder / "artifacts"
    return TrialRecord(
        trial.number,
        _state(ended.state),
        {**base, **trial.params},
        {**ended.metrics, **costs},
        tuple(read_figures(folder)),
        # Optuna tells the time of this machine, without its zone.
        now if begun is None else begun.astimezone(UTC),
        now if over is None else over.astimezone(UTC),
        ended.error,
        artifacts if artifacts.is_dir() else None,
    )


def _tried(trial: "FrozenTrial") -> Tried:
    ended = told_of(trial)
    return Tried(
        trial.number,
        _state(ended.state),
        trial.value if ended.state == "complete" else None,
        trial.params,
        ended.metrics,
        ended.error,
        ended.seconds,
        ended.core_seconds,
    )


def _state(said: str) -> State:
    return "complete" if said == "complete" else "pruned" if said == "pruned" else "failed"
