"""What serves which share now, and how what is being tried or watched does beside the champion."""

from collections.abc import Mapping
from math import isfinite

from everloop.ids import BundleId, Json
from everloop.loop.arms.experiment import compare_variants
from everloop.loop.arms.guard import guard
from everloop.loop.experiments import shares_of
from everloop.loop.project import Project
from everloop.loop.publish import standing_by
from everloop.loop.pursuit import pursue
from everloop.loop.world import World
from everloop.policy import RolloutPolicy
from everloop.rollout.canary import SIGNALS, limits_of
from everloop.rollout.figures import Beside, ServedFigures
from everloop.rollout.sequential.quantile import quantile, quantile_interval
from everloop.rollout.sequential.rate import interval
from everloop.state.releases import Change

_ALPHA = 0.05


def released(project: Project, world: World) -> dict[str, Json]:
    """The release as it is at this moment, with the analysis that `decide` goes by."""
    release, policy = world.release, project.policy
    pursuit = pursue(policy, world)
    told: dict[str, Json] = {
        "generation": release.generation,
        "champion": _since(release.champion, release.champion_since),
        "standing by": standing_by(release, policy.rollout, world.now),
        "watch": guard(policy, world, pursuit).reason,
    }
    candidate = release.canary
    if candidate is not None:
        told["candidate"] = {
            "bundle": candidate.bundle,
            "mode": candidate.mode,
            "step": candidate.step,
            "share": candidate.share,
            "since": candidate.since.isoformat(),
        }
        told["decision"] = None if pursuit is None else pursuit.reason
    if release.experiment is not None:
        told["experiment"] = {
            "name": release.experiment.name,
            "since": release.experiment.since.isoformat(),
            "shares": shares_of(release.experiment),
            "findings": compare_variants(policy, world, pursuit).reason,
        }
    beside = world.figures or world.watched
    if beside is not None:
        told["figures"] = _beside(beside)
        told["signals"] = _signals(beside, policy.rollout, world.classes)
    return told


def change_as_json(change: Change) -> dict[str, Json]:
    """One past change of the release."""
    return {
        "generation": change.generation,
        "at": change.at.isoformat(),
        "what": change.what,
        "bundle": change.bundle,
        "reason": change.reason,
    }


def _since(bundle: BundleId | None, since: object) -> Json:
    return None if bundle is None else {"bundle": bundle, "since": str(since)}


def _signals(beside: Beside, policy: RolloutPolicy, classes: int) -> Mapping[str, Json]:
    limits = limits_of(policy, steps=1, classes=classes)
    return {name: signal(beside, limits) or "within its limit" for name, signal in SIGNALS.items()}


def _beside(beside: Beside) -> Mapping[str, Json]:
    pairs = beside.pairs
    told: dict[str, Json] = {
        "challenger": _served(beside.challenger),
        "champion": _served(beside.champion),
    }
    if pairs.pairs:
        told["pairs"] = {
            "pairs": pairs.pairs,
            "differ": pairs.differ,
            "labelled": pairs.labelled,
            "only challenger wrong": pairs.only_challenger_wrong,
            "only champion wrong": pairs.only_champion_wrong,
        }
    return told


def _served(side: ServedFigures) -> Mapping[str, Json]:
    """Figures with bounds that hold at all times with a chance of 95% each."""
    low, high = interval(side.errors, side.requests, _ALPHA)
    wrong_low, wrong_high = interval(side.wrong.successes, side.wrong.trials, _ALPHA)
    slow = quantile_interval(side.latency, 0.95, _ALPHA)
    return {
        "requests": side.requests,
        "errors": side.errors,
        "error rate": [float(low), float(high)],
        "95% within ms": _finite(quantile(side.latency, 0.95)),
        "95% within ms, bounds": [_finite(bound) for bound in slow],
        "confidence": _finite(side.confidences.value),
        "labelled": side.wrong.trials,
        "wrong": side.wrong.successes,
        "wrong rate": [float(wrong_low), float(wrong_high)],
        "answers": dict(sorted(side.answers.items())),
        "events": dict(side.events),
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
