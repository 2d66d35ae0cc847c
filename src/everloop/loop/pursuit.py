"""How far the present candidate has come, and its one next Action.

A candidate is the newest training attempt. It goes through a fixed chain: train, track,
evaluate, gate, register, approve, verify, roll out. Where it stands is read off the journal, so
a loop that was killed anywhere finds its place again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from everloop.action import Action, Entry
from everloop.ids import BundleId, Json, SnapshotId
from everloop.loop import kinds
from everloop.loop.decision import error_of, is_over
from everloop.loop.fitness import unanswered
from everloop.loop.rollout_plan import next_move
from everloop.loop.world import World
from everloop.policy import Policy, Strategy

STRATEGIES: Mapping[str, Strategy] = {name: name for name in get_args(Strategy)}


@dataclass(frozen=True, slots=True)
class Pursuit:
    """The candidate being brought to traffic, or what became of it."""

    train: Action
    stage: str
    """`train`, `judge`, `admit`, `verify`, `roll-out` or `ended`."""
    reason: str
    action: Action | None = None
    """What is to be done next; None: something is awaited, or it has ended."""
    bundle: BundleId | None = None

    @property
    def ended(self) -> bool:
        return self.stage == "ended"

    @property
    def snapshot(self) -> SnapshotId:
        """The snapshot it is learnt from."""
        return SnapshotId(str(self.train.inputs["snapshot"]))

    @property
    def name(self) -> str:
        """Short name for people: the bundle's once there is one."""
        return f"bundle {self.bundle[:8]}" if self.bundle else f"run {self.train.key[6:14]}"


def pursue(policy: Policy, world: World) -> Pursuit | None:
    """The newest candidate and where it stands; None before the first training."""
    attempts = [entry for entry in world.journal.values() if entry.action.kind == "train"]
    if not attempts:
        return None
    newest = max(attempts, key=_begun)
    if asked := _asked_for(policy, world, newest):
        return asked
    train = newest.action
    if not is_over(world, train):
        return Pursuit(train, "train", "the snapshot is ready to learn from", train)
    track = kinds.track(train)
    if not is_over(world, track):
        return Pursuit(train, "train", "every attempt is recorded in the tracker", track)
    result = world.result(train)
    if result is None:
        return Pursuit(train, "ended", f"training failed: {error_of(world, train)}")
    bundle = BundleId(str(result["bundle"]))
    return _pursue_bundle(policy, world, train, bundle)


def _asked_for(policy: Policy, world: World, newest: Entry) -> Pursuit | None:
    """The rollout that a person asked for after the newest training began, until it has ended."""
    asked = world.latest("roll-out")
    if asked is None or asked.intended_at < newest.intended_at:
        return None
    bundle = BundleId(str(asked.action.inputs["bundle"]))
    if world.release.champion == bundle or sent_back(world, bundle):
        return None
    if not world.decisions.get(bundle, (False, ""))[0]:
        return None
    train = next(
        (
            entry.action
            for entry in world.journal.values()
            if entry.action.kind == "train"
            and (world.result(entry.action) or {}).get("bundle") == bundle
        ),
        newest.action,
    )
    pursuit = _roll_out(
        policy, world, train, bundle, STRATEGIES[str(asked.action.inputs["strategy"])]
    )
    return None if pursuit.ended else pursuit


def _begun(entry: Entry) -> tuple[float, str]:
    return entry.intended_at.timestamp(), entry.action.key


def _pursue_bundle(policy: Policy, world: World, train: Action, bundle: BundleId) -> Pursuit:
    if world.release.champion == bundle:
        return Pursuit(train, "ended", "it is the champion", bundle=bundle)
    if past := _already_decided(world, bundle):
        return Pursuit(train, "ended", past, bundle=bundle)
    return (
        _judge(policy, world, train, bundle)
        or _admit(policy, world, train, bundle)
        or _verify(policy, world, train, bundle)
        or _roll_out(policy, world, train, bundle)
    )


def _already_decided(world: World, bundle: BundleId) -> str | None:
    """Whether this bundle's way ended before: it is never rolled out a second time."""
    if why := sent_back(world, bundle):
        return f"it was rolled back: {why}"
    if world.latest("promote", bundle=bundle) is not None:
        return "it was the champion until it was replaced"
    return None


def sent_back(world: World, bundle: BundleId) -> str | None:
    """Why this bundle lost its traffic, as candidate, champion or variant; None: it never did.

    What was intended and has no outcome yet counts: it may have had its effect before the loop
    was killed, and is brought to its end otherwise.
    """
    for kind in ("rollback", "take-out"):
        if entry := world.intended(kind, bundle=bundle):
            return entry.reason
    return None


def _judge(policy: Policy, world: World, train: Action, bundle: BundleId) -> Pursuit | None:
    snapshot = SnapshotId(str(train.inputs["snapshot"]))
    champion = world.release.champion
    measure = kinds.evaluate(policy, bundle, snapshot)
    steps = [(measure, "the bundle itself is measured on the hold-out")]
    if champion is not None:
        why = "the champion is measured on the same hold-out, to compare"
        steps.append((kinds.evaluate(policy, champion, snapshot), why))
    gate = kinds.gate(policy, bundle, snapshot, champion)
    steps.append((gate, "the evaluation is there: judge it"))
    step = _first_open(world, train, "judge", bundle, steps)
    if step is not None:
        return step
    verdict = world.result(gate) or {}
    if not verdict.get("passed"):
        why = f"stopped at the gates: {_reasons(verdict)}"
        return Pursuit(train, "ended", why, bundle=bundle)
    return None


def _first_open(
    world: World,
    train: Action,
    stage: str,
    bundle: BundleId,
    steps: list[tuple[Action, str]],
) -> Pursuit | None:
    for action, reason in steps:
        if not is_over(world, action):
            return Pursuit(train, stage, reason, action, bundle)
        if error := error_of(world, action):
            return Pursuit(train, "ended", f"{action.kind} failed: {error}", bundle=bundle)
    return None


def _admit(policy: Policy, world: World, train: Action, bundle: BundleId) -> Pursuit | None:
    register = kinds.register(bundle)
    step = _first_open(world, train, "admit", bundle, [(register, "it passed its gates")])
    if step is not None:
        return step
    decision = world.decisions.get(bundle)
    if decision is None or decision[0]:
        waits = unanswered(world, bundle)
        if waits is not None:
            return Pursuit(train, "admit", waits, bundle=bundle)
    if decision is None:
        if policy.approval.by == "rule":
            approve = kinds.approve(bundle)
            why = "policy approves what passed its gates"
            # The decision itself, not the journal, says whether it stands.
            return Pursuit(train, "admit", why, approve, bundle)
        half = world.half_approved.get(bundle)
        why = f"waits for {'another' if half else 'a'} person: everloop models approve {bundle[:8]}"
        if half:
            why = f"{why} ({half})"
        return Pursuit(train, "admit", why, bundle=bundle)
    approved, by = decision
    if approved:
        return None
    running = world.release.canary
    if running is not None and running.bundle == bundle and world.release.champion is not None:
        back = kinds.roll_back_canary(bundle, world.release.champion, running.step)
        if not is_over(world, back):
            return Pursuit(train, "roll-out", f"{by} rejected it", back, bundle)
    return Pursuit(train, "ended", f"rejected by {by}", bundle=bundle)


def _verify(policy: Policy, world: World, train: Action, bundle: BundleId) -> Pursuit | None:
    snapshot = SnapshotId(str(train.inputs["snapshot"]))
    evaluated = world.result(kinds.evaluate(policy, bundle, snapshot)) or {}
    verify = kinds.verify(policy, bundle, snapshot, str(evaluated.get("evaluation")))
    why = "its live service must give the answers of evaluation before traffic moves"
    step = _first_open(world, train, "verify", bundle, [(verify, why)])
    if step is not None:
        return step
    replay = world.result(verify) or {}
    if not replay.get("passed"):
        why = f"stopped by the replay: {_reasons(replay)}"
        return Pursuit(train, "ended", why, bundle=bundle)
    return None


def _roll_out(
    policy: Policy,
    world: World,
    train: Action,
    bundle: BundleId,
    strategy: Strategy | None = None,
) -> Pursuit:
    move = next_move(policy, world, bundle, strategy or policy.rollout.strategy)
    stage = "ended" if move.ended else "roll-out"
    return Pursuit(train, stage, move.reason, move.action, bundle)


def _reasons(result: Mapping[str, Json]) -> str:
    reasons = result.get("reasons")
    if isinstance(reasons, list) and reasons:
        return "; ".join(str(reason) for reason in reasons)
    return "no reason given"
