"""A/B tests as people compare them: each variant's figures beside the champion's."""

from collections.abc import Mapping
from math import isfinite

from everloop.errors import Refused
from everloop.ids import Json
from everloop.loop.observe import besides
from everloop.loop.project import Project
from everloop.policy import RolloutPolicy
from everloop.rollout.experiment import Bounded, compare, deciding, policy_of
from everloop.rollout.figures import Beside
from everloop.state.experiments import Experiment, Variant


def find_experiment(project: Project, name: str | None) -> Experiment:
    """The experiment of a name; without one that which runs, else the last. `Refused`: none."""
    every = project.experiments.all()
    if not every:
        raise Refused("there was no experiment yet; everloop experiment start begins one")
    if name is None:
        return next((one for one in every if one.ended_at is None), every[-1])
    found = next((one for one in every if one.name == name), None)
    if found is None:
        there = ", ".join(one.name for one in every)
        raise Refused(f"there is no experiment {name!r}; there are: {there}")
    return found


def compared(project: Project, experiment: Experiment) -> dict[str, Json]:
    """An experiment with every variant's figures beside the champion's, bounds and findings."""
    policy = policy_of(project.policy.rollout, experiment.event, experiment.event_most)
    figures, count = besides(project, experiment), len(experiment.variants)
    return {
        **described(experiment),
        "decided by": deciding(policy),
        "error rate": policy.false_alarm_rate,
        "variants": [
            {**_variant(variant), **_figures(policy, figures[variant.bundle], count)}
            for variant in experiment.variants
        ],
    }


def described(experiment: Experiment) -> dict[str, Json]:
    """An experiment without its figures."""
    ended = experiment.ended_at
    return {
        "name": experiment.name,
        "champion": experiment.champion,
        "variants": [_variant(variant) for variant in experiment.variants],
        "event": experiment.event or None,
        "since": experiment.since.isoformat(),
        "ended": None if ended is None else ended.isoformat(),
        "why ended": experiment.reason,
    }


def shares_of(experiment: Experiment) -> Mapping[str, Json]:
    """The variants that are still in it, and their shares."""
    return {variant.name: variant.share for variant in experiment.live}


def _variant(variant: Variant) -> dict[str, Json]:
    return {
        "name": variant.name,
        "bundle": variant.bundle,
        "share": variant.share,
        "out": variant.out_reason,
    }


def _figures(policy: RolloutPolicy, beside: Beside, variants: int) -> dict[str, Json]:
    found = compare(beside, policy, variants)
    one, two = beside.challenger, beside.champion
    return {
        "requests": one.requests,
        "champion's requests": two.requests,
        "labelled": one.wrong.trials,
        "finding": found[deciding(policy)].finding,
        "measures": {
            name: {
                "variant": _bounds(measure.variant),
                "champion": _bounds(measure.champion),
                "finding": measure.finding,
            }
            for name, measure in found.items()
        },
    }


def _bounds(figure: Bounded) -> Mapping[str, Json]:
    return {
        name: value if isfinite(value) else None
        for name, value in (("value", figure.value), ("low", figure.low), ("high", figure.high))
    }
