"""The loop as people see it: the ring of stages, what moved last, what waits and why."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from everloop.action import Entry
from everloop.loop.telling import ArmNow, describe_entry
from everloop.loop.world import World
from everloop.policy import Policy

State: TypeAlias = Literal["moves", "waits", "failed", "person", "off"]
"""`person`: it waits for somebody to do something; `off`: not at this level."""

_STAGES: Sequence[tuple[str, str, tuple[str, ...]]] = (
    ("Collect", "sources and captured answers become samples", ("ingest", "collect")),
    ("Protect", "personal data is filtered before anybody sees it", ("privacy",)),
    ("Label", "people answer what teaches most", ("label", "prelabel", "record")),
    ("Learn", "a snapshot is taken and a model is learnt", ("learn",)),
    ("Judge", "gates on a hold-out that the model never saw", ("judge",)),
    ("Approve", "registered, and approved by rule or by a person", ("admit",)),
    ("Verify", "the same answers through its own live service", ("verify",)),
    ("Roll out", "traffic moves step by step, or back", ("roll-out", "guard", "experiment")),
    ("Watch", "drift, and what the accuracy is likely to be", ("monitor", "inspect", "report")),
)
_UNDER_WAY = " is under way"
"""In an arm's reason: it waits for what it has begun itself."""
_RADIUS, _CENTRE = 150.0, 200.0
_WORDS: Mapping[State, str] = {
    "moves": "at work",
    "waits": "waits",
    "failed": "failed",
    "person": "waits for you",
    "off": "off at this level",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the ring."""

    name: str
    does: str
    state: State
    words: str
    reasons: tuple[tuple[str, str], ...]
    """Each arm of the stage with what it wants or waits for."""
    last: str
    """What it did last, with the figures."""
    last_at: datetime | None
    is_newest: bool
    """Whether it is the one that moved last."""
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the timeline."""

    at: datetime
    kind: str
    reason: str
    result: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """One thing that a level needs."""

    text: str
    is_there: bool


@dataclass(frozen=True, slots=True)
class LoopView:
    """All of the page."""

    product: str
    level: int
    stages: tuple[Stage, ...]
    others: tuple[ArmNow, ...]
    """Arms that are no stage: requests, resuming."""
    steps: tuple[Step, ...]
    next_level: tuple[Wanted, ...]
    champion: str | None
    canary: str | None
    service: str | None
    controller: str | None
    labels: int
    tasks: int
    answers: int
    alerts: tuple[str, ...]


def loop_view(
    policy: Policy,
    world: World,
    arms: Sequence[ArmNow],
    timeline: Sequence[Entry],
    *,
    product: str,
    service: str | None,
    controller: str | None,
) -> LoopView:
    """The page's view; `timeline` oldest first."""
    release = world.release
    return LoopView(
        product=product,
        level=policy.level,
        stages=_ring(policy, world, arms),
        others=tuple(a for a in arms if not any(a.arm in names for _, _, names in _STAGES)),
        steps=tuple(map(_step, reversed(timeline))),
        next_level=wanted_for_next(policy, world),
        champion=release.champion,
        canary=None
        if release.canary is None
        else f"{release.canary.mode} {release.canary.bundle[:8]}, {release.canary.share:.0%}",
        service=service,
        controller=controller,
        labels=world.labels.total,
        tasks=world.queue.open,
        answers=world.answers,
        alerts=tuple(alerts(policy, world, service, controller)),
    )


def _ring(policy: Policy, world: World, arms: Sequence[ArmNow]) -> tuple[Stage, ...]:
    by_name = {arm.arm: arm for arm in arms}
    ours = [[by_name[name] for name in names if name in by_name] for _, _, names in _STAGES]
    moved = [_newest(group) for group in ours]
    newest = max((entry.intended_at for entry in moved if entry), default=None)
    stages = []
    for place, ((name, does, _), group, last) in enumerate(zip(_STAGES, ours, moved, strict=True)):
        angle = 2 * math.pi * place / len(_STAGES) - math.pi / 2
        state = _state(policy, world, name, group, last)
        stages.append(
            Stage(
                name=name,
                does=does,
                state=state,
                words=_WORDS[state],
                reasons=tuple((arm.arm, arm.reason) for arm in group),
                last="" if last is None else f"{last.action.kind}: {describe_entry(last)}",
                last_at=None if last is None else last.intended_at,
                is_newest=last is not None and last.intended_at == newest,
                x=round(_CENTRE + _RADIUS * math.cos(angle), 1),
                y=round(_CENTRE + _RADIUS * math.sin(angle), 1),
            )
        )
    return tuple(stages)


def _newest(group: Sequence[ArmNow]) -> Entry | None:
    entries = [arm.last for arm in group if arm.last is not None]
    return max(entries, key=lambda entry: entry.intended_at, default=None)


def _state(
    policy: Policy, world: World, name: str, group: Sequence[ArmNow], last: Entry | None
) -> State:
    if any(arm.wants or _UNDER_WAY in arm.reason for arm in group):
        return "moves"
    if policy.level < _LEVEL_OF.get(name, 0):
        return "off"
    if name == "Label" and world.queue.open:
        return "person"
    if any("waits for a person" in arm.reason for arm in group):
        return "person"
    if last is not None and last.outcome is not None and last.outcome.error:
        return "failed"
    return "waits"


_LEVEL_OF: Mapping[str, int] = {"Watch": 1, "Label": 2}


def _step(entry: Entry) -> Step:
    failed = entry.outcome is not None and entry.outcome.error is not None
    result = describe_entry(entry)
    return Step(entry.intended_at, entry.action.kind, entry.reason, result, failed)


def wanted_for_next(policy: Policy, world: World) -> tuple[Wanted, ...]:
    """What the next level of maturity needs, and whether it is there; nothing above the last."""
    live = Wanted("a model is live", world.release.champion is not None)
    if policy.level == 0:
        return (live, Wanted("level = 1 in everloop.toml", is_there=False))
    if policy.level == 1:
        window = policy.monitor.window
        return (
            live,
            Wanted(
                f"{window} captured answers of it, one window to watch: {world.answers} so far",
                world.answers >= window,
            ),
            Wanted("the privacy gate is open", world.gate.version is not None),
            Wanted("level = 2 in everloop.toml", is_there=False),
        )
    return ()


def alerts(
    policy: Policy, world: World, service: str | None, controller: str | None
) -> Sequence[str]:
    """What somebody should look at now, in plain words."""
    told = []
    if controller is None:
        told.append("Nobody runs the loop: start everloop up.")
    if service is None:
        told.append("The prediction service does not answer.")
    if world.unlearnable:
        told.append(world.unlearnable)
    if world.gate.version is None and policy.level == 2:
        told.append(f"The privacy gate is closed: {world.gate.closed}.")
    if world.gate.held:
        told.append(f"{world.gate.held} samples are held back from labellers.")
    told += [f"{source.path}: {source.trouble}." for source in world.sources if source.trouble]
    if world.service is not None:
        failed = world.service.failed.items()
        told += [f"Bundle {bundle[:8]} was not loaded: {why}." for bundle, why in failed]
    return told
