"""When people are asked, and about how much."""

from datetime import timedelta

from everloop.ids import BundleId
from everloop.loop import kinds
from everloop.loop.arms.learning import why_learn
from everloop.loop.arms.monitoring import window_of, windows
from everloop.loop.decision import Decision, ask, is_over
from everloop.loop.pursuit import Pursuit
from everloop.loop.world import World
from everloop.policy import Policy

ARM = "label"


def ask_people(policy: Policy, world: World, pursuit: Pursuit | None) -> Decision:
    """Open a round of labelling when the live model is being harmed."""
    if policy.level < 2:
        return Decision(ARM, None, "the loop closes at level 2")
    champion = world.release.champion
    if champion is None:
        return Decision(ARM, None, "no model is live")
    if waits := _busy(policy, world, pursuit):
        return Decision(ARM, None, waits)
    harm, window = _confirmed_harm(policy, world, champion)
    if window is None:
        return Decision(ARM, None, harm)
    action = kinds.select(champion, window, policy.labelling.budget)
    if is_over(world, action):
        return Decision(ARM, None, f"people were asked at window {window}; waits for later ones")
    return ask(world, ARM, action, harm)


def _busy(policy: Policy, world: World, pursuit: Pursuit | None) -> str | None:
    """What must end before another round may begin."""
    if world.queue.open:
        return f"{world.queue.open} label tasks wait for people: everloop label next"
    if world.queue.unrecorded is not None:
        return "answers are being recorded"
    if pursuit is not None and not pursuit.ended:
        return f"{pursuit.name} may mend it: it is at {pursuit.stage}"
    if why_learn(policy, world, pursuit)[1]:
        return "new labels are about to be learnt from"
    last = world.latest("select")
    if last is None:
        return None
    left = (last.finished_at or last.intended_at) + policy.labelling.cooldown - world.now
    if left > timedelta(0):
        return f"the last round was a moment ago; {left.total_seconds():.0f} s of cooldown are left"
    return None


def _confirmed_harm(policy: Policy, world: World, champion: BundleId) -> tuple[str, int | None]:
    """The newest window, when enough windows in a row were harmful since the last round."""
    last = world.latest("select")
    asked = window_of(last) if last and last.action.inputs["bundle"] == champion else -1
    judged = [entry for entry in windows(world, champion) if window_of(entry) > asked]
    needed = policy.monitor.confirm
    newest = judged[:needed]
    harmful = [entry for entry in newest if (world.result(entry.action) or {}).get("harmful")]
    if len(harmful) < needed:
        return f"{len(harmful)} harmful windows of the {needed} in a row that ask for people", None
    told = (world.result(newest[0].action) or {}).get("summary", "")
    return f"{needed} harmful windows in a row: {told}", window_of(newest[0])
