"""Judge a candidate's evaluation, beside the champion's on the same hold-out."""

from collections.abc import Mapping

from everloop.action import Action, Outcome
from everloop.errors import Refused
from everloop.evaluation.comparison import compare
from everloop.evaluation.evaluate import Evaluation, load
from everloop.evaluation.gates import Gates, judge
from everloop.ids import BundleId, Json, SnapshotId
from everloop.loop import kinds
from everloop.loop.cards import comparison_json
from everloop.loop.project import Project, Turn
from everloop.tasks.task import learnable

_QUICK = 200_000
"""Numbers of answers that are resampled in about a second."""


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
    policy, comparison = project.policy.gates, None
    if champion is not None:
        # It is the loop itself that computes here: its lease must not run out meanwhile.
        quick = candidate.values.size <= _QUICK or bool(policy.max_loss)
        task = learnable(project.declaration.task)
        comparison = compare(candidate, champion, task, resampled=quick)
    verdict = judge(
        candidate,
        champion,
        Gates(
            absolute=policy.absolute,
            significance=policy.significance,
            slice_min_samples=policy.slice_min_samples,
            slice_min_accuracy=policy.slice_min_accuracy,
            at_most=policy.at_most,
            slices=policy.slices,
            max_loss=policy.max_loss,
        ),
        facts=_facts(project, candidate),
        comparison=comparison,
    )
    failed = [check.reason for check in verdict.checks if not check.passed]
    told: dict[str, Json] = {}
    if comparison is not None:
        told["comparison"] = comparison_json(BundleId(str(champion_id)), comparison)
    return Outcome(
        final=True,
        result={
            **told,
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
    found = _evaluated(project, bundle, snapshot)
    return load(project.layout.evaluations, str(found["evaluation"]))


def _facts(project: Project, candidate: Evaluation) -> dict[str, float]:
    """What was measured of a candidate beside its metrics."""
    facts = _evaluated(project, candidate.bundle, candidate.snapshot).get("facts", {})
    assert isinstance(facts, Mapping)  # noqa: S101 - jobs.evaluate wrote it
    return {name: float(str(value)) for name, value in facts.items()}


def _evaluated(project: Project, bundle: BundleId, snapshot: SnapshotId) -> Mapping[str, Json]:
    entry = project.journal.entry(kinds.evaluate(project.policy, bundle, snapshot).key)
    if entry is None or entry.outcome is None or not entry.outcome.succeeded:
        raise Refused(f"bundle {bundle[:8]} was not evaluated on snapshot {snapshot[:8]}")
    return entry.outcome.result
