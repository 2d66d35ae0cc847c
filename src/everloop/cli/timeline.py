"""One line for each thing the loop did: when, what, why, with which figures."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from everloop.ids import Json

if TYPE_CHECKING:
    from everloop.action import Entry
    from everloop.loop.controller import Step

_LENGTH = 12
"""Longest hex id shown whole; longer ones are cut, so that a line stays readable."""


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


def describe_entry(entry: "Entry") -> str:
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
