"""What is recorded of a training attempt, and of a registered version."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from everloop.ids import ActionKey, BundleId, Json


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One training attempt, with everything that moved."""

    key: ActionKey
    product: str
    snapshot: str
    bundle: str | None
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
    status: Literal["finished", "failed"]
    error: str | None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a product in the registry."""

    version: int
    bundle: BundleId
    run: str
    aliases: tuple[str, ...]
