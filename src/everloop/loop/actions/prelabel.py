"""The live model's answers taken for labels where a rule allows it, and given back to people."""

from everloop.action import Action, Outcome
from everloop.evaluation.evaluate import load
from everloop.ids import BundleId
from everloop.labelling.prelabel import Rule, calibrate
from everloop.loop.project import Project, Turn
from everloop.state.prelabels import Sure
from everloop.tasks.task import learnable


def calibrate_prelabels(project: Project, _turn: Turn, action: Action) -> Outcome:
    """From which confidence on answers may be taken, by what people say of the hold-out."""
    found = load(project.layout.evaluations, str(action.inputs["evaluation"]))
    if not found.right_or_wrong:
        told = f"answers of this task have a {found.quality}, they are not just right or wrong"
        rule = Rule(None, 0, 0, len(found.samples), told)
    else:
        confidences = learnable(project.declaration.task).confidences(found.values)
        rule = calibrate(confidences, found.qualities == 1, float(str(action.inputs["precision"])))
    return Outcome(final=True, result=rule.as_json())


def accept_prelabels(project: Project, turn: Turn, action: Action) -> Outcome:
    """The open tasks whose offered answer is sure enough are answered with it."""
    inputs = action.inputs
    bundle = BundleId(str(inputs["bundle"]))
    sure = Sure(bundle, float(str(inputs["threshold"])), float(str(inputs["audit_share"])))
    return Outcome(
        final=True, result={"accepted": project.prelabels.accept(sure, turn.fence, turn.now)}
    )


def withdraw_prelabels(project: Project, turn: Turn, action: Action) -> Outcome:
    """People are asked about what a bundle's answers were taken for."""
    bundle = BundleId(str(action.inputs["bundle"]))
    again = project.prelabels.ask_again(bundle, turn.fence)
    return Outcome(final=True, result={"asked_again": again})
