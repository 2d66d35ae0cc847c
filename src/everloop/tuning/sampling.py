"""Which point a trial tries: by the study's history and the trial's number, and nothing else."""

import itertools
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from everloop.errors import Refused
from everloop.space import Choice, Dimension, Float
from everloop.tuning.plan import Plan, distributions
from everloop_runtime.ids import digest_json

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

RETRY_OF = "retry_of"
"""On a trial that tries again what was cut short: the number of that one."""
_TRIES, _WIDER_TRIES = 20, 5_000
_MOST_POINTS = 100_000
Fits = Callable[[Mapping[str, Any]], bool]


class _Whole(BaseSampler):
    """Draws whole points; a trial whose point was fixed beforehand keeps that."""

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        self._space = dict(space)

    @abstractmethod
    def point(self, study: "Study", trial: "FrozenTrial") -> dict[str, Any]:
        """The point of a trial."""

    def infer_relative_search_space(
        self, study: "Study", trial: "FrozenTrial"
    ) -> dict[str, BaseDistribution]:
        """See `BaseSampler`: the whole space."""
        return self._space

    def sample_relative(
        self,
        study: "Study",
        trial: "FrozenTrial",
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """See `BaseSampler`."""
        return {} if "fixed_params" in trial.system_attrs else self.point(study, trial)

    def sample_independent(
        self,
        study: "Study",
        trial: "FrozenTrial",
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """See `BaseSampler`; asked for what a fixed point leaves out."""
        return self.point(study, trial)[param_name]


class Points(_Whole):
    """Points for which `fits` says yes, drawn by another sampler.

    That is made anew for each trial and seeded by its number, so a study that was killed goes on
    as if it had not been. Raises `Refused` where no point fits.
    """

    def __init__(
        self,
        make: Callable[[int], BaseSampler],
        space: Mapping[str, BaseDistribution],
        fits: Fits,
    ) -> None:
        super().__init__(space)
        self._make = make
        self._fits = fits

    def point(self, study: "Study", trial: "FrozenTrial") -> dict[str, Any]:
        """A point that fits."""
        place = _place(study, trial)
        inner = self._make(place)
        for _ in range(_TRIES):
            point = self._draw(inner, study, trial)
            if self._fits(point):
                return point
        # Where few points fit, what was learnt of the others does not help.
        return any_point(self._space, self._fits, _seed(place, -1))

    def _draw(self, sampler: BaseSampler, study: "Study", trial: "FrozenTrial") -> dict[str, Any]:
        varied = {name: kind for name, kind in self._space.items() if not kind.single()}
        found = sampler.sample_relative(study, trial, varied) if varied else {}
        return {
            name: found[name]
            if name in found
            else sampler.sample_independent(study, trial, name, kind)
            for name, kind in self._space.items()
        }


class Grid(_Whole):
    """The points of a grid in a shuffled order, so that a part of it is no corner of the space."""

    def __init__(
        self, points: Sequence[Mapping[str, Any]], space: Mapping[str, BaseDistribution]
    ) -> None:
        super().__init__(space)
        self._points = points

    def point(self, study: "Study", trial: "FrozenTrial") -> dict[str, Any]:
        """The next point."""
        return dict(self._points[_place(study, trial) % len(self._points)])


def any_point(space: Mapping[str, BaseDistribution], fits: Fits, seed: int = 0) -> dict[str, Any]:
    """A random point that fits; `Refused` when none of many does."""
    sampler, nothing = RandomSampler(seed), cast("Any", None)
    for _ in range(_WIDER_TRIES):
        point = {
            name: sampler.sample_independent(nothing, nothing, name, kind)
            for name, kind in space.items()
        }
        if fits(point):
            return point
    raise Refused(f"the space has no valid point: `where` said no to {_WIDER_TRIES} of them")


def sampler_of(plan: Plan, fits: Fits) -> BaseSampler:
    """The sampler of a study; `Refused` for a grid of what has no steps."""
    seed = plan.search_seed
    if plan.sampler == "grid":
        return Grid(grid(plan, fits), distributions(plan.space))
    kinds: dict[str, Callable[[int], BaseSampler]] = {
        "random": lambda number: RandomSampler(_seed(seed, number)),
        "tpe": lambda number: TPESampler(
            seed=_seed(seed, number),
            multivariate=True,
            # Those under way count as bad, so that workers beside each other try other points.
            constant_liar=True,
        ),
    }
    return Points(kinds[plan.sampler], distributions(plan.space), fits)


def grid(plan: Plan, fits: Fits) -> list[dict[str, Any]]:
    """Every point that fits, shuffled by the seed; `Refused` when there is none, or too many."""
    axes = {name: _axis(name, one) for name, one in plan.space.items()}
    count = 1
    for axis in axes.values():
        count *= len(axis)
    if count > _MOST_POINTS:
        raise Refused(f"the grid has {count} points, {_MOST_POINTS} at most are taken; try random")
    every = (dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))
    points = [point for point in every if fits(point)]
    if not points:
        raise Refused(f"the space has no valid point: `where` said no to all {count} of the grid")
    order = sorted(range(len(points)), key=lambda at: digest_json([plan.search_seed, at]))
    return [points[at] for at in order]


def _axis(name: str, one: Dimension) -> list[Any]:
    if isinstance(one, Choice):
        return list(one.options)
    if isinstance(one, Float):
        if one.step is None:
            if one.low == one.high:
                return [one.low]
            raise Refused(f"a grid wants steps; {name} has none: say Float({one.low}, ..., step=)")
        steps = int((one.high - one.low) / one.step + 1e-9)
        return [one.low + at * one.step for at in range(steps + 1)]
    return list(range(one.low, one.high + 1, one.step))


def pruner_of(plan: Plan) -> BasePruner:
    """What ends weak trials early."""
    if plan.pruner == "median":
        return MedianPruner(n_startup_trials=5)
    return HyperbandPruner() if plan.pruner == "hyperband" else NopPruner()


def _place(study: "Study", trial: "FrozenTrial") -> int:
    """The trial's number, had nothing been tried again."""
    before = study.get_trials(deepcopy=False)[: trial.number]
    return trial.number - sum(RETRY_OF in one.user_attrs for one in before)


def _seed(seed: int, number: int) -> int:
    return int(digest_json([seed, number])[:8], 16)
