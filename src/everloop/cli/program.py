"""What the command line is given by the application."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everloop.loop.project import Project


@dataclass(frozen=True, slots=True)
class Program:
    """The application as its faces see it."""

    open_project: "Callable[[Path], Project]"

    def clock(self) -> datetime:
        """The time now, in UTC."""
        return datetime.now(UTC)
