"""Which classes are answered how often, beside another model, watched without end.

Two different models never answer with exactly equal frequencies, so a test of equality (such as
the multinomial mixture of Lindon and Malek (2022), "Anytime-valid inference for multinomial count
data", NeurIPS) rejects any candidate in the end. Asked here is whether the share of some class
moved by more than is allowed. Each class has its own pair of confidence sequences (see
`difference`) at alpha over the number of classes: narrower than the projections of the Dirichlet
mixture, whose price grows with the number of classes times log n.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from everloop.rollout.sequential.rate import interval


@dataclass(frozen=True, slots=True)
class Shift:
    """The class whose share of the answers moved most for certain."""

    label: str
    first: float
    second: float
    least: float
    """By how much it moved at least."""


def largest_shift(
    first: Mapping[str, int], second: Mapping[str, int], classes: int, alpha: float
) -> Shift | None:
    """The class that surely moved most between the answers of two models; None when none did.

    `classes`: how many there are, answered or not. The chance that any class is ever said to have
    moved by more than it has is at most alpha.

    >>> shift = largest_shift({"a": 100}, {"a": 500, "b": 500}, 2, 0.05)
    >>> shift.label, round(shift.least, 1)
    ('a', 0.4)
    """
    import numpy as np

    labels = sorted({*first, *second})
    totals = sum(first.values()), sum(second.values())
    if not all(totals):
        return None
    # Both directions are covered by one pair of two-sided sequences.
    each = alpha / max(classes, len(labels)) / 2
    low_one, high_one = interval([first.get(label, 0) for label in labels], totals[0], each)
    low_two, high_two = interval([second.get(label, 0) for label in labels], totals[1], each)
    least = np.maximum(low_one - high_two, low_two - high_one)
    most = int(least.argmax())
    if least[most] <= 0:
        return None
    label = labels[most]
    shares = first.get(label, 0) / totals[0], second.get(label, 0) / totals[1]
    return Shift(label, *shares, float(least[most]))
