"""The next move of a verified candidate: its steps, each judged, then promotion."""

from dataclasses import dataclass

from everloop.action import Action
from everloop.ids import BundleId
from everloop.loop import kinds
from everloop.loop.decision import error_of, is_over
from everloop.loop.world import World
from everloop.policy import Policy, Strategy
from everloop.rollout.canary import analyse, limits_of
from everloop.state.releases import CanaryState, Mode


@dataclass(frozen=True, slots=True)
class Move:
    """What to do with a verified candidate now, or what is awaited."""

    reason: str
    action: Action | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a rollout."""

    mode: Mode
    share: float

    def told(self) -> str:
        """The step in words."""
        if self.mode == "green":
            return "the candidate is loaded and warmed, without traffic"
        if self.mode == "shadow":
            return f"copies of {self.share:.0%} of the traffic go to the candidate"
        return f"{self.share:.0%} of the traffic goes to the candidate"


def steps(policy: Policy, strategy: Strategy) -> tuple[Step, ...]:
    """The steps of a strategy, before promotion."""
    canary = tuple(Step("canary", share) for share in policy.rollout.shares)
    if strategy == "blue-green":
        return (Step("green", 0.0),)
    if strategy == "shadow-then-canary":
        return (Step("shadow", policy.rollout.shadow_share), *canary)
    return canary


def next_move(policy: Policy, world: World, bundle: BundleId, strategy: Strategy) -> Move:
    """One step of the rollout of `bundle`; pure."""
    champion = world.release.champion
    if champion is None:
        return _promote(world, bundle, None, "there is no champion yet to compare with")
    if policy.level == 0:
        return _promote(world, bundle, champion, "level 0 has no canary")
    plan = steps(policy, strategy)
    if experiment := world.release.experiment:
        why = f"its rollout waits until experiment {experiment.name} has ended"
        return Move(f"{why} (everloop experiment stop)")
    running = world.release.canary
    if running is None:
        return _start(world, bundle, champion, plan, 0)
    if running.bundle != bundle:
        action = kinds.roll_back_canary(running.bundle, champion, running.step)
        if is_over(world, action):
            return Move(f"bundle {running.bundle[:8]} still holds the candidate's place")
        return Move("a newer candidate takes its place", action)
    return _judge_step(policy, world, running, champion, plan)


def _promote(world: World, bundle: BundleId, over: BundleId | None, reason: str) -> Move:
    action = kinds.promote(bundle, over)
    if error := error_of(world, action):
        return Move(f"promotion failed: {error}", ended=True)
    return Move(reason, action)


def _start(
    world: World, bundle: BundleId, champion: BundleId, plan: tuple[Step, ...], number: int
) -> Move:
    step = plan[number]
    action = kinds.canary(bundle, champion, number, step.share, step.mode)
    if is_over(world, action):
        return Move("its rollout was ended from outside", ended=True)
    return Move(step.told(), action)


def _judge_step(
    policy: Policy,
    world: World,
    running: CanaryState,
    champion: BundleId,
    plan: tuple[Step, ...],
) -> Move:
    bundle = running.bundle
    back = kinds.roll_back_canary(bundle, champion, running.step)
    if world.service is None:
        return Move("the service does not answer: the candidate waits")
    if why := world.service.failed.get(bundle):
        return Move(f"the service cannot run it: {why}", back)
    if running.mode == "green":
        if bundle not in world.service.loaded:
            return Move("the service loads and warms it, without traffic")
        return _promote(world, bundle, champion, "it is loaded, verified and warm: all at once")
    limits = limits_of(
        policy.rollout,
        steps=len(plan),
        classes=world.classes,
        like_champion=not _is_harmed(policy, world, champion),
    )
    analysis = analyse(world.figures, limits)
    told = "; ".join(analysis.reasons)
    at = f"{running.mode} at {running.share:.0%}"
    if analysis.verdict == "breached":
        return Move(f"{at} breached: {told}", back)
    if analysis.verdict == "wait":
        return Move(f"{at}: {told}")
    left = running.since + policy.rollout.soak - world.now
    if left.total_seconds() > 0:
        return Move(f"{at} is healthy ({told}); soaks {left.total_seconds():.0f} s more")
    if running.step + 1 < len(plan):
        move = _start(world, bundle, champion, plan, running.step + 1)
        return Move(f"{at} is healthy ({told}): {move.reason}", move.action, move.ended)
    return _promote(world, bundle, champion, f"{at} is healthy ({told})")


def _is_harmed(policy: Policy, world: World, champion: BundleId) -> bool:
    """Whether the champion is held to be harmed: then its answers are no measure for others."""
    if world.latest("select", purpose="teach", bundle=champion) is not None:
        return True
    last = world.latest("monitor", bundle=champion)
    result = (world.result(last.action) or {}) if last is not None else {}
    return policy.level > 0 and result.get("harmful") is True
