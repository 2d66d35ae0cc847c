"""What people asked the loop for, and whether it may be done."""

from collections.abc import Mapping

from everloop.action import Action, Entry
from everloop.ids import BundleId
from everloop.loop import kinds
from everloop.loop.arms.experiment import end_on_request, start_on_request
from everloop.loop.arms.reply import ARM, close, refuse
from everloop.loop.decision import Decision, ask, error_of, is_over
from everloop.loop.fitness import why_unfit
from everloop.loop.pursuit import STRATEGIES, Pursuit, sent_back
from everloop.loop.world import Request, World
from everloop.policy import Policy

REQUESTABLE = frozenset(
    (
        *("ingest", "snapshot", "train", "track", "reproduce", "evaluate", "verify", "clear"),
        *("relabel", "select"),
    )
)
"""Actions that a person may ask for singly; none of them moves traffic."""


def heed_requests(policy: Policy, world: World, _pursuit: Pursuit | None) -> Decision:
    """Do, or refuse with a reason, the oldest thing a person asked for."""
    if not world.requests:
        return Decision(ARM, None, "nobody asked for anything")
    # Going back waits behind nothing, least of all behind a deployment that waits itself.
    request = next((r for r in world.requests if r.kind == "rollback"), world.requests[0])
    if (action := single_action(request)) is not None:
        return _act(world, request, action)
    if request.kind == "deploy":
        return _deploy(world, request)
    if request.kind == "experiment":
        return start_on_request(policy, world, request)
    if request.kind == "end-experiment":
        return end_on_request(world, request)
    return _roll_back(world, request)


def single_action(request: Request) -> Action | None:
    """The one Action that a request of kind `act` asks for; None for other requests."""
    if request.kind != "act":
        return None
    inputs = request.inputs["inputs"]
    assert isinstance(inputs, Mapping)  # noqa: S101 - loop.single wrote it
    return Action(str(request.inputs["kind"]), inputs)


def _act(world: World, request: Request, action: Action) -> Decision:
    if action.kind not in REQUESTABLE:
        return refuse(world, request, f"{action.kind} is for the loop itself to decide")
    if is_over(world, action):
        return close(world, request, "done")
    return ask(world, ARM, action, f"{request.by} asked for it")


def _deploy(world: World, request: Request) -> Decision:
    bundle = BundleId(str(request.inputs["bundle"]))
    if world.release.champion == bundle:
        return close(world, request, f"bundle {bundle[:8]} is live already")
    if world.release.canary is not None:
        return Decision(ARM, None, "a deployment waits until the canary has ended")
    if lacks := why_unfit(world, bundle):
        return refuse(world, request, lacks)
    if "strategy" in request.inputs:
        return _roll_out(world, request, bundle)
    action = kinds.deploy_on_request(bundle, request.id)
    return ask(world, ARM, action, f"{request.by} asked for it, and it passed gates and replay")


def _roll_out(world: World, request: Request, bundle: BundleId) -> Decision:
    if sent_back(world, bundle):
        why = f"bundle {bundle[:8]} was rolled back: it gets no new canary"
        return refuse(world, request, f"{why}; everloop deploy without a strategy overrules that")
    strategy = STRATEGIES[str(request.inputs["strategy"])]
    action = kinds.roll_out_on_request(bundle, strategy, request.id)
    return ask(world, ARM, action, f"{request.by} asked for its rollout by {strategy}")


def _roll_back(world: World, request: Request) -> Decision:
    release = world.release
    if begun := _begun(world, request):
        # Ended already, perhaps: what comes next in the line was not asked for.
        if error := error_of(world, begun.action):
            return refuse(world, request, error)
        return ask(world, ARM, begun.action, begun.reason)
    if release.champion is None:
        return refuse(world, request, "nothing is live")
    if release.canary is not None:
        bundle = release.canary.bundle
        back = kinds.roll_back_on_request(bundle, release.champion, request.id)
        return ask(world, ARM, back, f"{request.by} asked to end the canary")
    if release.experiment is not None:
        end = kinds.end_experiment(release.experiment.name, request.id)
        return ask(world, ARM, end, f"{request.by} asked to end the experiment")
    if release.previous is None:
        return refuse(world, request, "there is no earlier champion to go back to")
    back = kinds.roll_back_on_request(release.champion, release.previous, request.id)
    return ask(world, ARM, back, f"{request.by} asked to go back")


def _begun(world: World, request: Request) -> Entry | None:
    """What was intended for a request to go back: it may have had its effect without an answer."""
    return next(
        (
            entry
            for entry in world.journal.values()
            if entry.action.kind in {"rollback", "end-experiment"}
            and entry.action.inputs.get("request") == request.id
        ),
        None,
    )
