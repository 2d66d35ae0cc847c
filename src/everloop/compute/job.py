"""A job: a command line, a key, and a folder for what goes in and comes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from everloop.ids import ActionKey, Json


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of heavy work. Its command writes `result.json` in `folder`, whole, at the end."""

    key: ActionKey
    command: tuple[str, ...]
    folder: Path
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class Running:
    """The job has been started and has not ended."""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The job ended well."""

    result: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Failed:
    """The job ended badly and will not be started again."""

    reason: str


JobState: TypeAlias = Running | Succeeded | Failed
