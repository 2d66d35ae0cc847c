"""Tasks by the name of their entry point."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from everloop.errors import Refused
from everloop.tasks.image_classification import ImageClassification

GROUP = "everloop.tasks"


def by_declaration(declaration: Mapping[str, Any]) -> ImageClassification:
    """The task that a declaration describes; `Refused` naming the installed ones otherwise."""
    settings = dict(declaration)
    kind = settings.pop("kind", None)
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in installed:
        told = ", ".join(sorted(installed)) or "none"
        raise Refused(f"no task {kind!r} is installed; installed: {told}")
    task = installed[kind].load()(**settings)
    assert isinstance(task, ImageClassification)  # noqa: S101 - the one task of this version
    return task
