"""Begin an A/B test, take a variant out of it, end it."""

from collections.abc import Mapping

from everloop.action import Action, Outcome
from everloop.errors import Refused
from everloop.ids import BundleId
from everloop.loop.arms.experiment import variants_of
from everloop.loop.project import Project, Turn
from everloop.loop.publish import publish
from everloop.state.experiments import Experiment, Variant


def experiment(project: Project, turn: Turn, action: Action) -> Outcome:
    """The variants have their shares, if the champion is still the one they are to be beside."""
    wanted = _wanted(turn, action)
    known = {one.name for one in project.experiments.all()}
    live = project.releases.current().champion
    if wanted.name not in known and live != wanted.champion:
        raise Refused(f"the champion is {live}, no longer {wanted.champion}")
    project.experiments.start(wanted, turn.fence, turn.now)
    publish(project, turn.now)
    _close(project, turn, action, f"experiment {wanted.told()}")
    return Outcome(final=True, result={"summary": wanted.told()})


def take_out(project: Project, turn: Turn, action: Action) -> Outcome:
    """The variant has no share any more; its keys are the champion's."""
    name, bundle = str(action.inputs["experiment"]), BundleId(str(action.inputs["bundle"]))
    entry = project.journal.entry(action.key)
    reason = entry.reason if entry else "taken out"
    project.experiments.take_out(name, bundle, reason, turn.fence, turn.now)
    publish(project, turn.now)
    return Outcome(final=True, result={"experiment": name, "bundle": bundle})


def end_experiment(project: Project, turn: Turn, action: Action) -> Outcome:
    """All traffic is the champion's again."""
    name = str(action.inputs["experiment"])
    entry = project.journal.entry(action.key)
    reason = entry.reason if entry else "ended"
    project.experiments.end(name, reason, turn.fence, turn.now)
    publish(project, turn.now)
    _close(project, turn, action, f"experiment {name} has ended")
    return Outcome(final=True, result={"experiment": name})


def _wanted(turn: Turn, action: Action) -> Experiment:
    event = action.inputs["event"]
    assert isinstance(event, Mapping)  # noqa: S101 - kinds.experiment made it
    return Experiment(
        name=str(action.inputs["experiment"]),
        champion=BundleId(str(action.inputs["champion"])),
        variants=tuple(
            Variant(bundle[:8], bundle, share) for bundle, share in variants_of(action).items()
        ),
        since=turn.now,
        event=str(event["name"]),
        event_most=float(str(event["most"])),
    )


def _close(project: Project, turn: Turn, action: Action, answer: str) -> None:
    project.requests.done(str(action.inputs["request"]), answer, turn.fence, turn.now)
