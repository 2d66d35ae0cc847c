"""Tasks by the name of their entry point."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from everloop.errors import Refused
from everloop.tasks.task import Task

GROUP = "everloop.tasks"


def by_declaration(declaration: Mapping[str, Any]) -> Task:
    """The task that a declaration describes; `Refused` naming the installed ones otherwise."""
    settings = dict(declaration)
    kind = settings.pop("kind", None)
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in installed:
        told = ", ".join(sorted(installed)) or "none"
        raise Refused(f"no task {kind!r} is installed; installed: {told}")
    try:
        task = installed[kind].load()(**settings)
    except TypeError as error:
        raise Refused(f"the task {kind!r} does not take these settings: {error}") from error
    if not isinstance(task, Task):
        raise Refused(f"the entry point {kind!r} of {GROUP} is no task; see everloop.tasks.task")
    return task
