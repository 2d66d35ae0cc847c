"""A project's settings, read without what its stores need: a light start for the pages."""

from pathlib import Path

from everloop.errors import Refused
from everloop.layout import Layout
from everloop.policy import Policy
from everloop.policy_file import parse_policy


def read_settings(path: Path) -> tuple[Layout, Policy]:
    """The layout and the policy of the project in the folder `path`; raises as `assemble`."""
    project = path.resolve()
    settings = project / "everloop.toml"
    if not settings.is_file():
        raise Refused(
            f"{project} has no everloop.toml; "
            "go to a project's folder, name it with --project, or write one with everloop init"
        )
    policy = parse_policy(settings.read_text(encoding="utf-8"), str(settings))
    layout = Layout(project)
    layout.root.mkdir(exist_ok=True)
    return layout, policy
