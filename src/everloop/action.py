"""An Action and its Outcome: what the loop does, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from everloop.ids import ActionKey, Json
from everloop_runtime.ids import digest_json


@dataclass(frozen=True)
class Action:
    """One idempotent thing the loop does, named by a digest of its inputs."""

    kind: str
    inputs: Mapping[str, Json] = field(default_factory=dict)

    @cached_property
    def key(self) -> ActionKey:
        """The same kind and inputs always give the same key."""
        return ActionKey(f"{self.kind}-{digest_json(self.inputs)[:32]}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt at an Action.

    `final`: the key is never asked for again. Not final: `delay` says how long to wait before
    the next attempt, and `error` is set when the attempt failed rather than is still under way.
    """

    final: bool
    delay: timedelta | None = None
    result: Mapping[str, Json] = field(default_factory=dict)
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        """It is over, and it worked."""
        return self.final and self.error is None


@dataclass(frozen=True, slots=True)
class Entry:
    """What the journal knows of one Action key."""

    action: Action
    arm: str
    reason: str
    intended_at: datetime
    """When it was first intended."""
    not_before: datetime | None
    """An attempt before this time is not due."""
    failures: int
    """How many attempts ended in an error so far."""
    outcome: Outcome | None
    """The latest attempt's outcome; None while the first is under way or was cut short."""
    finished_at: datetime | None
    """When the final outcome was recorded."""
