"""What the command line is given by the application."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everloop.data.store import DataStore
    from everloop.labelling.backend import Backend
    from everloop.layout import Layout
    from everloop.loop.project import Project
    from everloop.policy import StoragePolicy


@dataclass(frozen=True, slots=True)
class Program:
    """The application as its faces see it."""

    open_project: "Callable[[Path], Project]"
    open_data: "Callable[[Layout, StoragePolicy], DataStore]"
    serve_pages: Callable[[Path, int | None, Callable[[str], None]], None]
    """Serves the pages of the project in a folder until told to stop: on the policy's port unless
    one is given; the last is told their URL."""
    label_backend: "Callable[[Project], Backend] | None" = None
    """The labelling tool that the project's policy names; `Refused` without one."""

    def clock(self) -> datetime:
        """The time now, in UTC."""
        return datetime.now(UTC)
