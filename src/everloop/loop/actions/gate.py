"""Judge a candidate's evaluation, beside the champion's on the same hold-out."""

from everloop.action import Action, Outcome
from everloop.errors import Refused
from everloop.evaluation.evaluate import Evaluation, load
from everloop.evaluation.gates import Gates, judge
from everloop.ids import BundleId, SnapshotId
from everloop.loop import kinds
from everloop.loop.project import Project, Turn


def gate(project: Project, _turn: Turn, action: Action) -> Outcome:
    """The verdict, with a reason for each check."""
    snapshot = SnapshotId(str(action.inputs["snapshot"]))
    candidate = evaluation_of(project, BundleId(str(action.inputs["bundle"])), snapshot)
    champion_id = action.inputs["champion"]
    champion = (
        None
        if champion_id is None
        else evaluation_of(project, BundleId(str(champion_id)), snapshot)
    )
    policy = project.policy.gates
    verdict = judge(
        candidate,
        champion,
        Gates(
            absolute=policy.absolute,
            significance=policy.significance,
            slice_min_samples=policy.slice_min_samples,
            slice_min_accuracy=policy.slice_min_accuracy,
        ),
    )
    failed = [check.reason for check in verdict.checks if not check.passed]
    return Outcome(
        final=True,
        result={
            "passed": verdict.passed,
            "summary": verdict.summary,
            "reasons": failed or [check.reason for check in verdict.checks],
            "checks": [
                {"name": check.name, "passed": check.passed, "reason": check.reason}
                for check in verdict.checks
            ],
        },
    )


def evaluation_of(project: Project, bundle: BundleId, snapshot: SnapshotId) -> Evaluation:
    """The stored evaluation; `Refused` when there is none."""
    entry = project.journal.entry(kinds.evaluate(bundle, snapshot).key)
    if entry is None or entry.outcome is None or not entry.outcome.succeeded:
        raise Refused(f"bundle {bundle[:8]} was not evaluated on snapshot {snapshot[:8]}")
    return load(project.layout.evaluations, str(entry.outcome.result["evaluation"]))
