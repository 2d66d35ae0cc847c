"""The next move of a verified candidate: canary steps, each judged, then promotion."""

from dataclasses import dataclass

from everloop.action import Action
from everloop.ids import BundleId
from everloop.loop import kinds
from everloop.loop.decision import error_of, is_over
from everloop.loop.world import World
from everloop.policy import Policy
from everloop.rollout.canary import CanaryLimits, analyse


@dataclass(frozen=True, slots=True)
class Move:
    """What to do with a verified candidate now, or what is awaited."""

    reason: str
    action: Action | None = None
    ended: bool = False


def next_move(policy: Policy, world: World, bundle: BundleId) -> Move:
    """One step of the rollout of `bundle`; pure."""
    champion = world.release.champion
    if champion is None:
        return _promote(world, bundle, None, "there is no champion yet to compare with")
    if policy.level == 0:
        return _promote(world, bundle, champion, "level 0 has no canary")
    running = world.release.canary
    if running is None:
        return _start(policy, world, bundle, champion, 0)
    if running.bundle != bundle:
        action = kinds.roll_back_canary(running.bundle, champion, running.step)
        if is_over(world, action):
            return Move(f"bundle {running.bundle[:8]} still holds the canary's place")
        return Move("a newer candidate takes the canary's place", action)
    return _judge_step(policy, world, bundle, champion)


def _promote(world: World, bundle: BundleId, over: BundleId | None, reason: str) -> Move:
    action = kinds.promote(bundle, over)
    if error := error_of(world, action):
        return Move(f"promotion failed: {error}", ended=True)
    return Move(reason, action)


def _start(policy: Policy, world: World, bundle: BundleId, champion: BundleId, step: int) -> Move:
    share = policy.rollout.shares[step]
    action = kinds.canary(bundle, champion, step, share)
    if is_over(world, action):
        return Move("its canary was ended from outside", ended=True)
    return Move(f"{share:.0%} of the traffic goes to the candidate", action)


def _judge_step(policy: Policy, world: World, bundle: BundleId, champion: BundleId) -> Move:
    running = world.release.canary
    assert running is not None  # noqa: S101 - the caller looked
    back = kinds.roll_back_canary(bundle, champion, running.step)
    if world.service is None:
        return Move("the service does not answer: the canary waits")
    if why := world.service.failed.get(bundle):
        return Move(f"the service cannot run it: {why}", back)
    limits = CanaryLimits(
        min_requests=policy.rollout.min_requests,
        max_error_rate=policy.rollout.max_error_rate,
        max_latency_ratio=policy.rollout.max_latency_ratio,
        max_confidence_drop=policy.rollout.max_confidence_drop,
        significance=policy.gates.significance,
    )
    analysis = analyse(world.canary_figures, world.champion_figures, limits)
    told = "; ".join(analysis.reasons)
    at = f"canary at {running.share:.0%}"
    if analysis.verdict == "breached":
        return Move(f"{at} breached: {told}", back)
    if analysis.verdict == "wait":
        return Move(f"{at}: {told}")
    left = running.since + policy.rollout.soak - world.now
    if left.total_seconds() > 0:
        return Move(f"{at} is healthy ({told}); soaks {left.total_seconds():.0f} s more")
    step = running.step + 1
    if step < len(policy.rollout.shares):
        move = _start(policy, world, bundle, champion, step)
        return Move(f"{at} is healthy ({told}): {move.reason}", move.action, move.ended)
    return _promote(world, bundle, champion, f"{at} is healthy ({told})")
