"""A/B tests: begun and ended when a person asks; a variant that breaches is taken out."""

import re
from collections.abc import Mapping, Sequence
from math import isfinite

from everloop.action import Action
from everloop.ids import BundleId, Json
from everloop.loop import kinds
from everloop.loop.arms import reply
from everloop.loop.decision import Decision, ask, error_of
from everloop.loop.fitness import why_unfit
from everloop.loop.pursuit import Pursuit, sent_back
from everloop.loop.world import Request, World
from everloop.policy import Policy, RolloutPolicy
from everloop.rollout.canary import LASTING, analyse, limits_of, summary
from everloop.rollout.experiment import compare, deciding, policy_of
from everloop.state.experiments import Experiment, Variant

ARM = "experiment"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MOST_VARIANTS = 16
_LEAST_LEFT = 0.01
"""Of the traffic: what the champion must keep, since the variants are measured beside it."""


def compare_variants(policy: Policy, world: World, _pursuit: Pursuit | None) -> Decision:
    """Take out the first variant that breaches, or tell how each does beside the champion.

    A variant is there to answer otherwise, so it is held to what a new champion is held to:
    errors, latency, labels and the event, not confidence or the classes it answers.
    """
    running = world.release.experiment
    if running is None:
        return Decision(ARM, None, "no experiment runs")
    rollout = policy_of(policy.rollout, running.event, running.event_most)
    for variant in running.live:
        if why := _why_out(rollout, world, running, variant):
            action = kinds.take_out(running.name, variant.bundle, running.champion)
            return ask(world, ARM, action, f"variant {variant.name} of {running.name}: {why}")
    told = "; ".join(_told(rollout, world, running, variant) for variant in running.live)
    return Decision(ARM, None, f"{running.name}: {told}")


def _why_out(
    rollout: RolloutPolicy, world: World, running: Experiment, variant: Variant
) -> str | None:
    approved, by = world.decisions.get(variant.bundle, (True, ""))
    if not approved:
        return f"{by} rejected it"
    if world.service is not None and (why := world.service.failed.get(variant.bundle)):
        return f"the service cannot run it: {why}"
    limits = limits_of(rollout, steps=len(running.variants), classes=world.classes)
    analysis = analyse(world.tried.get(variant.bundle), limits, LASTING)
    return "; ".join(analysis.reasons) if analysis.verdict == "breached" else None


def _told(rollout: RolloutPolicy, world: World, running: Experiment, variant: Variant) -> str:
    beside = world.tried.get(variant.bundle)
    if beside is None or not beside.challenger.requests:
        return f"{variant.name} has served nothing yet"
    found = compare(beside, rollout, len(running.variants))[deciding(rollout)]
    return f"{variant.name} {found.finding} by {deciding(rollout)} ({summary(beside)})"


def start_on_request(policy: Policy, world: World, request: Request) -> Decision:
    """Begin the experiment that a person asked for, or refuse it with the reason."""
    champion, name = world.release.champion, str(request.inputs["name"])
    if champion is None:
        return reply.refuse(world, request, "nothing is live, beside which variants could be tried")
    variants, event = _variants(request), _event(policy, request)
    # Before an Action is named by it: what is no number has no digest either.
    if why := _why_ill_formed(name, _shares(variants), float(str(event["most"]))):
        return reply.refuse(world, request, why)
    action = kinds.experiment(name, champion, variants, event, request.id)
    running = world.release.experiment
    if running is not None and running.name == name and world.entry(action) is not None:
        return ask(world, reply.ARM, action, "it began; that is still to be told")
    if error := error_of(world, action):
        return reply.refuse(world, request, error)
    if why := _why_not(policy, world, action):
        return reply.refuse(world, request, why)
    return ask(world, reply.ARM, action, f"{request.by} asked for it; all passed gates and replay")


def _why_not(policy: Policy, world: World, action: Action) -> str | None:
    """Why an experiment may not begin now."""
    release, name = world.release, str(action.inputs["experiment"])
    variants = variants_of(action)
    if policy.level == 0:
        return "level 0 collects no answers to compare; experiments begin at level 1"
    if release.experiment is not None:
        told = f"experiment {release.experiment.name} runs"
        return f"{told}; at most one does: everloop experiment stop ends it"
    if _was_used(world, action):
        return f"there was an experiment {name} before; another name draws its users anew"
    if release.canary is not None and release.canary.bundle not in variants:
        told = f"bundle {release.canary.bundle[:8]} is being rolled out"
        return f"{told}; wait for its end, end it (everloop rollback), or make it a variant"
    return next(filter(None, (_why_no_variant(world, bundle) for bundle in variants)), None)


def _why_ill_formed(name: str, variants: Mapping[BundleId, float], most: float) -> str | None:
    if not _NAME.fullmatch(name):
        return f"{name!r} is no name: up to 64 letters, digits, and _ . - after the first"
    if not 0 < len(variants) <= _MOST_VARIANTS:
        return f"{len(variants)} variants; 1 to {_MOST_VARIANTS} bundles can be tried at once"
    if len({bundle[:8] for bundle in variants}) < len(variants):
        return "two of the bundles have the same short name"
    if not all(isfinite(share) and share > 0 for share in variants.values()):
        return "a variant's share is a number above 0"
    if not (isfinite(most) and most > 0):
        return "the most an answer can earn of the event is a number above 0"
    total = sum(variants.values())
    if total > 1 - _LEAST_LEFT:
        return (
            f"the shares add up to {total:.0%}; at least {_LEAST_LEFT:.0%} stays with the "
            "champion, which the variants are measured beside"
        )
    return None


def _was_used(world: World, action: Action) -> bool:
    """Whether another experiment of this name has begun, or may have."""
    return any(
        entry.action.kind == "experiment"
        and entry.action.key != action.key
        and entry.action.inputs["experiment"] == action.inputs["experiment"]
        and error_of(world, entry.action) is None
        for entry in world.journal.values()
    )


def _why_no_variant(world: World, bundle: BundleId) -> str | None:
    if bundle == world.release.champion:
        return f"bundle {bundle[:8]} is the champion: it has what the variants leave"
    if why := sent_back(world, bundle):
        return f"bundle {bundle[:8]} was sent back: {why}"
    return why_unfit(world, bundle)


def end_on_request(world: World, request: Request) -> Decision:
    """End the experiment that a person named, one of its variants the champion if they say so."""
    name = str(request.inputs["experiment"])
    promote = request.inputs.get("promote")
    if promote is not None:
        return _promote(world, request, name, BundleId(str(promote)))
    action, running = kinds.end_experiment(name, request.id), world.release.experiment
    # What was begun is asked for again: it may have had its effect without being told.
    if (running is None or running.name != name) and world.entry(action) is None:
        return reply.refuse(world, request, f"experiment {name} does not run")
    if error := error_of(world, action):
        return reply.refuse(world, request, error)
    return ask(world, reply.ARM, action, f"{request.by} asked to end it")


def _promote(world: World, request: Request, name: str, bundle: BundleId) -> Decision:
    running = world.release.experiment
    if world.release.champion == bundle:
        return reply.close(world, request, f"bundle {bundle[:8]} is live")
    if running is None or running.name != name:
        return reply.refuse(world, request, f"experiment {name} does not run")
    if bundle not in {variant.bundle for variant in running.live}:
        there = ", ".join(variant.name for variant in running.live)
        told = f"bundle {bundle[:8]} is no variant of {name} that is still in it"
        return reply.refuse(world, request, f"{told}; these are: {there}")
    if lacks := why_unfit(world, bundle):
        return reply.refuse(world, request, lacks)
    action = kinds.deploy_on_request(bundle, request.id)
    return ask(world, reply.ARM, action, f"{request.by} chose it of experiment {name}")


def variants_of(action: Action) -> Mapping[BundleId, float]:
    """The shares that an `experiment` Action gives, by bundle, in the order of the draw."""
    variants = action.inputs["variants"]
    assert isinstance(variants, list)  # noqa: S101 - kinds.experiment made it
    return _shares(variants)


def _shares(variants: Sequence[Mapping[str, Json]]) -> Mapping[BundleId, float]:
    return {BundleId(str(one["bundle"])): float(str(one["share"])) for one in variants}


def _variants(request: Request) -> list[Mapping[str, Json]]:
    variants = request.inputs["variants"]
    assert isinstance(variants, list)  # noqa: S101 - the command line wrote it
    return variants


def _event(policy: Policy, request: Request) -> Mapping[str, Json]:
    """What is compared: what the person named, else the rollouts' own event, if there is one."""
    rollout = policy.rollout
    name = request.inputs.get("event")
    most = request.inputs.get("event_most")
    return {
        "name": rollout.event if name is None else name,
        "most": rollout.event_most if most is None else most,
    }
