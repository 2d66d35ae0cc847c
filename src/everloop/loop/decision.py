"""A decision of one arm of the loop, and how an Action's journal entry turns into one."""

from dataclasses import dataclass

from everloop.action import Action
from everloop.loop.world import World

MOVES = frozenset(
    {"canary", "promote", "rollback", "deploy", "experiment", "take-out", "end-experiment"}
)
"""Kinds of Action that change what serves which share."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one arm wants done now, or why it waits."""

    arm: str
    action: Action | None
    """None: the arm waits."""
    reason: str


def ask(world: World, arm: str, action: Action, reason: str) -> Decision:
    """Ask for an Action that has no final outcome yet, unless its next attempt is not due."""
    entry = world.entry(action)
    if entry is None or entry.not_before is None or entry.not_before <= world.now:
        return Decision(arm, action, reason)
    outcome = entry.outcome
    if outcome is not None and outcome.error is not None:
        when = f"{entry.not_before:%H:%M:%S}"
        return Decision(arm, None, f"{action.kind} failed ({outcome.error}); again at {when}")
    return Decision(arm, None, f"{action.kind} is under way: {reason}")


def is_over(world: World, action: Action) -> bool:
    """Whether the Action has a final outcome, good or bad."""
    entry = world.entry(action)
    return entry is not None and entry.outcome is not None and entry.outcome.final


def error_of(world: World, action: Action) -> str | None:
    """Why an Action failed for good; None when it did not."""
    entry = world.entry(action)
    if entry is None or entry.outcome is None or not entry.outcome.final:
        return None
    return entry.outcome.error
