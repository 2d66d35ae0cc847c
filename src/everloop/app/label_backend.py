"""The labelling backend that a project's policy names, with the secret of the environment."""

import os
from typing import TYPE_CHECKING

from everloop.errors import Refused
from everloop.labelling.backend import Backend

if TYPE_CHECKING:
    from everloop.loop.project import Project

_KEY = "LABEL_STUDIO_API_KEY"


def label_backend(project: "Project") -> Backend:
    """Label Studio, where `[label_studio] url` names one.

    Raises `Refused` where it does not, where the environment holds no token, and where the product
    has no labelling page at all.
    """
    policy, task = project.policy.label_studio, project.declaration.task
    if not policy.url:
        raise Refused('no labelling backend is set; [label_studio] url = "http://..." names one')
    widget = getattr(task, "widget", None)
    if widget is None:
        raise Refused(f"label tasks of {task.kind} cannot be answered by people")
    token = os.environ.get(_KEY, "")
    if not token:
        raise Refused(f"put a Label Studio access token into the environment variable {_KEY}")
    from everloop.adapters.label_studio import LabelStudio

    title = policy.title or f"Everloop: {project.declaration.product}"
    return LabelStudio(policy.url, token, title, widget, task.classes, policy.project)
