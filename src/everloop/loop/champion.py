"""The newest evaluation of a bundle: what it answered to samples that it has not learnt from."""

from everloop.errors import Refused
from everloop.evaluation.evaluate import Evaluation, load
from everloop.ids import BundleId
from everloop.loop.cards import latest
from everloop.loop.project import Project


def latest_evaluation(project: Project, bundle: BundleId) -> Evaluation | None:
    """A bundle's newest evaluation; None where it was not evaluated, or the file is gone."""
    result = latest(project, "evaluate", bundle=bundle)
    if result is None:
        return None
    try:
        return load(project.layout.evaluations, str(result["evaluation"]))
    except Refused:
        return None


def judging_bundle(project: Project) -> BundleId | None:
    """The champion; before there is one, the newest bundle that was evaluated."""
    champion = project.releases.current().champion
    if champion is not None:
        return champion
    done = [
        entry
        for entry in project.journal.entries(("evaluate",)).values()
        if entry.outcome is not None and entry.outcome.succeeded
    ]
    newest = max(done, key=lambda entry: entry.finished_at or entry.intended_at, default=None)
    return None if newest is None else BundleId(str(newest.action.inputs["bundle"]))
