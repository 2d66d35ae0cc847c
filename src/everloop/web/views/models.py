"""Models as people compare and decide on them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from everloop.ids import BundleId
from everloop.loop.models import JudgedModel
from everloop.state.decisions import ApprovalDecision


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One line of the list."""

    bundle: BundleId
    version: int | None
    quality: str
    value: float
    passed: bool
    decision: str
    """`approved by ann`, `rejected by bob`, or nothing."""
    traffic: str


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model's page."""

    model: JudgedModel
    metrics: tuple[tuple[str, float | None], ...]
    decision: ApprovalDecision | None
    awaited: bool
    """Whether a person's word is waited for."""
    card: str
    """The card's text; empty until it is registered."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric of two models."""

    name: str
    first: float | None
    second: float | None

    @property
    def difference(self) -> float | None:
        """By how much the second is above the first; None where either has none."""
        if self.first is None or self.second is None:
            return None
        return self.second - self.first


def model_rows(
    models: Sequence[JudgedModel],
    decisions: Mapping[BundleId, ApprovalDecision],
    half: Mapping[BundleId, str] = MappingProxyType({}),
) -> tuple[ModelRow, ...]:
    """The list, newest first. `half`: those whose approval is not enough."""
    return tuple(
        ModelRow(
            model.bundle,
            model.version,
            model.quality,
            model.metrics.get(model.quality, math.nan),
            model.passed,
            decided(decisions.get(model.bundle)) + (", not enough" if model.bundle in half else ""),
            model.traffic,
        )
        for model in reversed(models)
    )


def decided(decision: ApprovalDecision | None) -> str:
    """A decision in words."""
    if decision is None:
        return ""
    return f"{'approved' if decision.approved else 'rejected'} by {decision.by}"


def model_view(
    model: JudgedModel, decision: ApprovalDecision | None, card: str, *, by_person: bool
) -> ModelView:
    """One model's page; `by_person`: whether the policy wants a person's approval."""
    metrics = tuple(
        (name, value if math.isfinite(value) else None) for name, value in model.metrics.items()
    )
    awaited = by_person and model.passed and decision is None and model.traffic == "none"
    return ModelView(model, metrics, decision, awaited, card)


def compared(one: JudgedModel, two: JudgedModel) -> tuple[Compared, ...]:
    """Every metric that either has, by name."""
    names = sorted({*one.metrics, *two.metrics})
    first, second = one.metrics, two.metrics
    return tuple(Compared(n, _finite(first.get(n)), _finite(second.get(n))) for n in names)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
