"""The program's entry: the faces are given what they need, built when it is needed."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.cli.main import run
from everloop.cli.program import Program

if TYPE_CHECKING:
    from everloop.data.store import DataStore
    from everloop.labelling.backend import Backend
    from everloop.layout import Layout
    from everloop.loop.project import Project
    from everloop.policy import StoragePolicy


def main() -> int:
    """Run the command line on this process's arguments and return its exit code."""
    return run(program(), sys.argv[1:])


def program() -> Program:
    """The application as the command line sees it."""
    return Program(_open_project, _open_data, _serve_pages, _label_backend)


def _open_project(path: Path) -> "Project":
    from everloop.app.assemble import assemble

    return assemble(path)


def _label_backend(project: "Project") -> "Backend":
    from everloop.app.label_backend import label_backend

    return label_backend(project)


def _open_data(layout: "Layout", storage: "StoragePolicy") -> "DataStore":
    from everloop.app.storage import open_data

    return open_data(layout, storage)


def _serve_pages(path: Path, port: int | None, ready: Callable[[str], None]) -> None:
    from everloop.app.settings import read_settings
    from everloop.web.serve import serve

    layout, policy = read_settings(path)
    web = policy.web if port is None else policy.web.model_copy(update={"port": port})
    serve(
        layout,
        web,
        partial(_open_project, path),
        lambda: datetime.now(UTC),
        ready,
        _label_backend if policy.label_studio.url else None,
    )
