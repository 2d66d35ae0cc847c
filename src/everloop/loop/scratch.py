"""What finished jobs left in their folders that lies somewhere else for good."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from everloop.data.garbage import Garbage
from everloop.loop.project import Project


def find_scratch(project: Project) -> list[Garbage]:
    """Artifacts of training jobs that the tracker has; nothing is changed."""
    return [
        Garbage("scratch", str(folder), _size(folder), "the tracker has these artifacts")
        for folder in _tracked(project)
    ]


def collect_scratch(project: Project) -> None:
    """Remove what `find_scratch` finds. Safe to repeat."""
    for folder in _tracked(project):
        shutil.rmtree(folder)


def _tracked(project: Project) -> Iterator[Path]:
    for entry in project.journal.entries(("track",)).values():
        if entry.outcome is not None and entry.outcome.succeeded:
            folder = project.layout.jobs / str(entry.action.inputs["run"]) / "artifacts"
            if folder.is_dir():
                yield folder


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
