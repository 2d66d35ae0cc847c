"""What a study is: everything that decides which points it tries and how it judges them."""

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from everloop.errors import Refused
from everloop.ids import Json
from everloop.space import Choice, Dimension, Goal, Int, dimension
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import canonical_json, digest_json

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Sampler: TypeAlias = Literal["tpe", "random", "grid"]
Pruner: TypeAlias = Literal["median", "hyperband", "none"]
SAMPLERS: tuple[Sampler, ...] = ("tpe", "random", "grid")
PRUNERS: tuple[Pruner, ...] = ("median", "hyperband", "none")
_FILE = "plan.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """The same plan is the same study, so the command that was killed goes on where it was."""

    product: str
    snapshot: str
    code: str
    """Fingerprint of the project's own code, which declares the space."""
    dimensions: Mapping[str, Mapping[str, Any]]
    metric: str
    goal: Goal
    watch: str | None
    base: Mapping[str, Any]
    """`[train.params]` without what is varied: taking over what was found changes no study."""
    seed: int
    """Of each training."""
    threads: int
    sampler: Sampler
    pruner: Pruner
    search_seed: int
    """Of the choice of points."""
    validation: float
    """The share of the training side that attempts are judged on."""
    newest: bool
    """Whether that is the newest part."""

    @property
    def id(self) -> str:
        """64 hex digits."""
        return digest_json(self.as_json())

    def as_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {**asdict(self)}

    @property
    def space(self) -> dict[str, Dimension]:
        """What is varied."""
        return {name: dimension(told) for name, told in self.dimensions.items()}

    def save(self, folder: Path) -> None:
        """Write it into the study's folder."""
        write_atomic(folder / _FILE, canonical_json(self.as_json()))


def read_plan(folder: Path) -> Plan:
    """The plan of the study in `folder`."""
    return Plan(**json.loads((folder / _FILE).read_bytes()))


def distributions(space: Mapping[str, Dimension]) -> "dict[str, BaseDistribution]":
    """The space as Optuna has it."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    found: dict[str, BaseDistribution] = {}
    for name, one in space.items():
        if isinstance(one, Choice):
            found[name] = CategoricalDistribution(one.options)
        elif isinstance(one, Int):
            # Optuna would say by a warning that it takes the last whole step.
            high = one.high if one.log else one.low + (one.high - one.low) // one.step * one.step
            found[name] = IntDistribution(one.low, high, log=one.log, step=one.step)
        else:
            found[name] = FloatDistribution(one.low, _last(one.low, one.high, one.step),
                                            log=one.log, step=one.step)  # fmt: skip
    return found


def _last(low: float, high: float, step: float | None) -> float:
    if step is None:
        return high
    from decimal import Decimal

    exact, first = Decimal(str(step)), Decimal(str(low))
    return float((Decimal(str(high)) - first) // exact * exact + first)


def need_optuna() -> None:
    """Raise `Refused`, saying what to install, where tuning's tools are missing."""
    missing = [name for name in ("optuna", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        raise Refused(f"tuning wants {' and '.join(missing)}: pip install 'everloop[tune]'")
