"""What is recorded of a study and its trials, and the port that records it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from everloop.ids import Json


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """One search for parameters."""

    id: str
    name: str
    params: Mapping[str, Json]
    """How it searches."""
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial of a study, over."""

    number: int
    state: Literal["complete", "pruned", "failed"]
    params: Mapping[str, Json]
    metrics: Mapping[str, float]
    history: tuple[tuple[int, str, float, int], ...]
    """`(step, name, value, milliseconds since 1970)`"""
    started_at: datetime
    ended_at: datetime
    error: str | None
    artifacts: Path | None


class StudyBook(Protocol):
    """Keeps studies as runs, with their trials as runs below them.

    Each call may be repeated after a crash without doubling.
    """

    def open(self, study: StudyRecord) -> str:
        """The registry's own id of the study's run, which is made once for the study's id."""

    def recorded(self, run: str) -> frozenset[int]:
        """The numbers of the trials that are recorded whole."""

    def record(self, run: str, trial: TrialRecord) -> None:
        """Record a trial below the study's run."""

    def close(self, run: str, metrics: Mapping[str, float], files: Path) -> None:
        """Record what came of the study so far, and the files of a folder."""
