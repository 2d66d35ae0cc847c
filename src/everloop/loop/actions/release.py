"""Move traffic: a canary's share, promotion, rollback, deployment on request."""

from everloop.action import Action, Outcome
from everloop.errors import Refused
from everloop.ids import BundleId
from everloop.loop.project import Project, Turn
from everloop.loop.publish import publish
from everloop.state.releases import Mode

MODES: dict[str, Mode] = {"canary": "canary", "shadow": "shadow", "green": "green"}


def canary(project: Project, turn: Turn, action: Action) -> Outcome:
    """The candidate has its share, if the champion is still the one it was meant to join."""
    bundle, champion = _bundle(action, "bundle"), _bundle(action, "champion")
    live = project.releases.current().champion
    if live != champion:
        raise Refused(f"the champion is {live}, no longer {champion}")
    step, share = int(str(action.inputs["step"])), float(str(action.inputs["share"]))
    mode: Mode = MODES[str(action.inputs.get("mode", "canary"))]
    project.releases.set_canary(bundle, step, share, turn.fence, turn.now, mode)
    publish(project, turn.now)
    return Outcome(final=True, result={"mode": mode, "share": share})


def promote(project: Project, turn: Turn, action: Action) -> Outcome:
    """The candidate is the champion, and the registry says so."""
    bundle = _bundle(action, "bundle")
    live, over = project.releases.current().champion, action.inputs["over"]
    if live not in {bundle, over}:
        raise Refused(f"the champion is {live}, no longer {over}")
    project.releases.promote(bundle, turn.fence, turn.now)
    publish(project, turn.now)
    _name_champion(project, bundle)
    return Outcome(final=True, result={"champion": bundle})


def roll_back(project: Project, turn: Turn, action: Action) -> Outcome:
    """The bundle has no share any more; all traffic goes to the one named in `to`."""
    bundle, to = _bundle(action, "bundle"), _bundle(action, "to")
    release = project.releases.current()
    entry = project.journal.entry(action.key)
    reason = f"rolled back: {entry.reason}" if entry else "rolled back"
    if release.canary is not None and release.canary.bundle == bundle:
        project.releases.end_canary(bundle, reason, turn.fence, turn.now)
    elif release.champion == bundle:
        project.releases.return_to(to, reason, turn.fence, turn.now)
    publish(project, turn.now)
    # What is brought to its end late finds a champion that came after it.
    _name_champion(project, project.releases.current().champion or to)
    _close(project, turn, action, "rolled back")
    return Outcome(final=True, result={"champion": to})


def roll_out(project: Project, turn: Turn, action: Action) -> Outcome:
    """It is noted, and `decide` sees it in the journal; the request is answered."""
    strategy = str(action.inputs["strategy"])
    _close(project, turn, action, f"its rollout begins: {strategy}")
    return Outcome(final=True, result={"strategy": strategy})


def deploy(project: Project, turn: Turn, action: Action) -> Outcome:
    """The bundle a person asked for is the champion."""
    bundle = _bundle(action, "bundle")
    project.releases.set_champion(bundle, "deployed on request", turn.fence, turn.now)
    publish(project, turn.now)
    _name_champion(project, bundle)
    _close(project, turn, action, "deployed")
    return Outcome(final=True, result={"champion": bundle})


def _bundle(action: Action, name: str) -> BundleId:
    return BundleId(str(action.inputs[name]))


def _close(project: Project, turn: Turn, action: Action, answer: str) -> None:
    request = action.inputs.get("request")
    if request is not None:
        project.requests.done(str(request), answer, turn.fence, turn.now)


def _name_champion(project: Project, bundle: BundleId) -> None:
    for version in project.registry.versions():
        if version.bundle == bundle:
            project.registry.set_alias("champion", version.version)
