"""When to pin the data set and learn another model."""

from everloop.action import Entry
from everloop.ids import SnapshotId
from everloop.loop import kinds
from everloop.loop.decision import Decision, ask, error_of, is_over
from everloop.loop.pursuit import Pursuit
from everloop.loop.world import World
from everloop.policy import Policy

ARM = "learn"


def learn(policy: Policy, world: World, pursuit: Pursuit | None) -> Decision:
    """Bring the present training to its end, or begin another when there is reason to."""
    if world.unlearnable is not None:
        return Decision(ARM, None, world.unlearnable)
    if pursuit is not None and pursuit.stage == "train" and pursuit.action is not None:
        return ask(world, ARM, pursuit.action, pursuit.reason)
    if pursuit is not None and not pursuit.ended:
        return Decision(ARM, None, f"{pursuit.name} is on its way: {pursuit.stage}")
    reason, wanted = why_learn(policy, world, pursuit)
    if not wanted:
        return Decision(ARM, None, reason)
    snapshot = kinds.snapshot(policy, world.labels.version)
    if not is_over(world, snapshot):
        return ask(world, ARM, snapshot, reason)
    result = world.result(snapshot)
    if result is None:
        return Decision(ARM, None, f"no snapshot can be taken: {error_of(world, snapshot)}")
    train = kinds.train(policy, SnapshotId(str(result["snapshot"])), world.code)
    if is_over(world, train):
        return Decision(ARM, None, "the same data, code and parameters were already learnt from")
    return ask(world, ARM, train, reason)


def why_learn(policy: Policy, world: World, pursuit: Pursuit | None) -> tuple[str, bool]:
    """Whether another model is worth learning now, and the figures behind that."""
    labels = world.labels
    needed = policy.train.min_labels
    if labels.train < needed:
        return f"{labels.train} training labels of the {needed} a first model needs", False
    if labels.holdout == 0:
        return "the hold-out has no labelled sample yet: no model could be judged", False
    if pursuit is None:
        return f"{labels.train} samples are labelled: learn the first model", True
    if policy.level == 0:
        return "level 0 learns again only when asked: everloop train", False
    if kinds.train(policy, pursuit.snapshot, world.code).key != pursuit.train.key:
        return "the code or the parameters changed", True
    return _new_labels(policy, world, pursuit)


def _new_labels(policy: Policy, world: World, pursuit: Pursuit) -> tuple[str, bool]:
    learnt = _labels_at(world, pursuit.snapshot)
    new = world.labels.total - learnt
    queue = world.queue
    if queue.unrecorded is not None:
        return f"{new} new labels, and answers are being recorded", False
    if new > 0 and queue.open == 0 and _round_ended(world, pursuit):
        return f"a round of labelling ended with {new} new labels", True
    wanted = policy.train.new_labels
    if new < wanted:
        return f"{new} new labels of the {wanted} worth another model", False
    oldest = queue.oldest_open
    if oldest is not None and world.now - oldest < policy.labelling.patience:
        return f"{new} new labels; {queue.open} tasks of the round are still open", False
    return f"{new} new labels since the last model", True


def _labels_at(world: World, snapshot: SnapshotId) -> int:
    for entry in world.journal.values():
        result = world.result(entry.action)
        if entry.action.kind == "snapshot" and result and result.get("snapshot") == snapshot:
            return int(str(result["samples"]))
    return 0


def _round_ended(world: World, pursuit: Pursuit) -> bool:
    """Whether a labelling round was asked for after the last training began."""
    chosen = world.latest("select", purpose="teach")
    trained: Entry | None = world.entry(pursuit.train)
    return chosen is not None and trained is not None and chosen.intended_at > trained.intended_at
