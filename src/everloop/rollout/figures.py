"""What two bundles served over the same time, in the few figures that judging needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from everloop.rollout.sequential.difference import Rate


@dataclass(frozen=True, slots=True)
class ServedFigures:
    """What one bundle's answers were like."""

    requests: int = 0
    errors: int = 0
    latency: Mapping[int, int] = field(default_factory=dict)
    """How many answers took so many milliseconds: a histogram of `rollout.sequential.quantile`."""
    answers: Mapping[str, int] = field(default_factory=dict)
    """How often each class was answered; empty where answers are no classes."""
    confidence: float = 0.0
    """The sum over all answers; each is in [0, 1]."""
    labelled: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By true class: how many answers' truth became known, and how many of them were wrong."""
    events: Mapping[str, float] = field(default_factory=dict)
    """By name: the sum of what business events said of its answers."""

    @property
    def answered(self) -> int:
        """Requests that were answered."""
        return self.requests - self.errors

    @property
    def confidences(self) -> Rate:
        """Mean confidence, as a rate."""
        return Rate(self.confidence, self.answered)

    @property
    def wrong(self) -> Rate:
        """Wrong among the answers whose truth is known."""
        known = self.labelled.values()
        return Rate(sum(wrong for _, wrong in known), sum(count for count, _ in known))

    def wrong_of(self, label: str) -> Rate:
        """Wrong among the answers whose truth is this class."""
        count, wrong = self.labelled.get(label, (0, 0))
        return Rate(wrong, count)


@dataclass(frozen=True, slots=True)
class PairFigures:
    """Requests that both bundles answered: one for the client, one as a shadow."""

    pairs: int = 0
    differ: int = 0
    """Pairs with different answers."""
    labelled: int = 0
    """Pairs whose truth became known."""
    only_challenger_wrong: int = 0
    only_champion_wrong: int = 0


@dataclass(frozen=True, slots=True)
class Beside:
    """A challenger's figures beside the champion's."""

    challenger: ServedFigures = ServedFigures()
    champion: ServedFigures = ServedFigures()
    pairs: PairFigures = PairFigures()
