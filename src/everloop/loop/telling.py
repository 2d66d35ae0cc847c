"""What the loop did and waits for, in words: when, what, why, with which figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from everloop.action import Entry
from everloop.ids import Json
from everloop.loop.decide import decide
from everloop.loop.project import Project
from everloop.loop.world import World

if TYPE_CHECKING:
    from everloop.loop.controller import Step

_LOOKED_BACK = 500
"""Entries of the journal among which each arm's last Action is looked for."""

_LENGTH = 12
"""Longest hex id shown whole; longer ones are cut, so that a line stays readable."""


@dataclass(frozen=True, slots=True)
class ArmNow:
    """One arm of the loop at this moment."""

    arm: str
    wants: str | None
    """The kind of Action it asks for; None: it waits."""
    reason: str
    last: Entry | None
    """What it did last."""

    def as_json(self) -> dict[str, Json]:
        """For programs."""
        last = self.last
        return {
            "arm": self.arm,
            "decision": self.wants or "waits",
            "reason": self.reason,
            "last": None if last is None else last.action.kind,
            "last_at": None if last is None else last.intended_at.isoformat(),
            "last_result": None if last is None else describe_entry(last),
        }


def arms_now(project: Project, world: World) -> Sequence[ArmNow]:
    """Each arm's present decision with its reason, and what it did last."""
    last = {entry.arm: entry for entry in project.journal.timeline(_LOOKED_BACK)}
    return [
        ArmNow(d.arm, d.action.kind if d.action else None, d.reason, last.get(d.arm))
        for d in decide(project.policy, world)
    ]


def describe_step(step: "Step", now: datetime) -> str:
    """A line about an Action that was just attempted."""
    kind = step.decision.action.kind if step.decision.action else "-"
    outcome = step.outcome
    told = f"FAILED {outcome.error}" if outcome.error else figures(outcome.result)
    return f"{now.astimezone():%H:%M:%S}  {kind:<15} {step.decision.reason}  ->  {told}"


def step_as_json(step: "Step", now: datetime) -> Mapping[str, Json]:
    """The same for programs."""
    action = step.decision.action
    assert action is not None  # noqa: S101 - a step has acted
    return {
        "at": now.isoformat(),
        "arm": step.decision.arm,
        "kind": action.kind,
        "key": action.key,
        "inputs": action.inputs,
        "reason": step.decision.reason,
        "told": f"FAILED {step.outcome.error}"
        if step.outcome.error
        else figures(step.outcome.result),
        "error": step.outcome.error,
        "result": step.outcome.result,
    }


def describe_entry(entry: Entry) -> str:
    """What became of a journalled Action, in a few words."""
    outcome = entry.outcome
    if outcome is None:
        return "begun"
    if outcome.error:
        return f"FAILED {outcome.error}"
    return figures(outcome.result) if outcome.final else "under way"


def figures(result: Mapping[str, Json]) -> str:
    """The plain figures of a result, short."""
    if "summary" in result:
        return str(result["summary"])
    if isinstance(reasons := result.get("reasons"), list) and reasons:
        passed = "passed" if result.get("passed") else "STOPPED"
        return f"{passed}: {'; '.join(str(reason) for reason in reasons)}"
    parts = []
    for name, value in result.items():
        if isinstance(value, float):
            parts.append(f"{name} {value:.4g}")
        elif isinstance(value, str):
            parts.append(f"{name} {value if len(value) <= _LENGTH else value[:8]}")
        elif isinstance(value, int):
            parts.append(f"{name} {value}")
        elif isinstance(value, Mapping):
            parts += [f"{k} {v:.4g}" for k, v in value.items() if isinstance(v, float)]
    return ", ".join(parts) or "done"
