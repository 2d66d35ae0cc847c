"""What is recorded of a training attempt, and of a registered version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from everloop.ids import ActionKey, BundleId, Json

RunStatus: TypeAlias = Literal["running", "interrupted", "finished", "failed", "killed"]
"""`interrupted` goes on from its checkpoint when it is asked for again; `killed` was killed so
often that it does not."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One training attempt, with everything that moved."""

    key: ActionKey
    product: str
    snapshot: str
    bundle: BundleId | None
    """None when the attempt failed."""
    params: Mapping[str, Json]
    metrics: Mapping[str, float]
    history: tuple[tuple[int, str, float, int], ...]
    """`(step, name, value, milliseconds since 1970)`"""
    code: str
    environment: Mapping[str, str]
    hardware: Mapping[str, str]
    seed: int
    started_at: datetime
    ended_at: datetime
    """Of a run that is not over: when it was last looked at."""
    status: RunStatus
    error: str | None
    threads: int = 0
    git: Mapping[str, str] = field(default_factory=dict)
    """`commit`, `branch`, `state`; empty outside a repository."""
    lives: int = 1
    """How often it was begun: more than once if it was killed or interrupted."""
    checkpoint: int | None = None
    """The step of its newest checkpoint."""
    notes: tuple[str, ...] = ()
    """What it found worth telling people."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Small files by name: the code, its difference from git's, the log."""

    @property
    def over(self) -> bool:
        """Whether nothing of it changes any more."""
        return self.status in {"finished", "failed", "killed"}

    @property
    def duration(self) -> timedelta:
        """The time spent in it, in all its lives, as far as they told."""
        seconds = self.metrics.get("training_seconds")
        if seconds is None or self.status == "running":
            return self.ended_at - self.started_at
        return timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a product in the registry."""

    version: int
    bundle: BundleId
    run: str
    aliases: tuple[str, ...]
