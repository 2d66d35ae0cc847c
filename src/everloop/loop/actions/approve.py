"""Approve a candidate by rule."""

from everloop.action import Action, Outcome
from everloop.ids import BundleId
from everloop.loop.project import Project, Turn


def approve(project: Project, turn: Turn, action: Action) -> Outcome:
    """The decision of the rule stands, unless a person's came first."""
    bundle = BundleId(str(action.inputs["bundle"]))
    if project.decisions.of(bundle) is None:
        project.decisions.record(
            bundle, approved=True, by="rule", comment="passed its gates", now=turn.now
        )
    return Outcome(final=True, result={"by": "rule"})
