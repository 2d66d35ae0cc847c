"""What a strategy of choosing gets and gives; strategies are plug-ins.

One is any function of this shape under the entry-point group `everloop.labelling` that passes
`everloop.testing.strategies.StrategyContract`. Its name is what `[labelling] strategy` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Protocol

from everloop.errors import Refused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GROUP = "everloop.labelling"


@dataclass(frozen=True, slots=True)
class Candidates:
    """What may be asked about, one row a sample, and what is known of it."""

    embeddings: "NDArray[np.float32]"
    """`[n, D]`: what the live model makes of each; without one, what each looks like."""
    unsure: "NDArray[np.float64]"
    """How much a label would teach by the answer alone, `[n]`, 0 to 1; 1 where none answered."""
    odds: "NDArray[np.float32] | None"
    """The probability of each class, `[n, K]`, where answers are of one class."""
    known: "NDArray[np.float32]"
    """The embeddings of samples that have a label already, `[m, D]`; those at hand."""
    labels: int
    """How many labels there are to learn from."""
    classes: int
    """How many classes they are of, 1 where they are of none."""

    def __len__(self) -> int:
        return len(self.unsure)


class Strategy(Protocol):
    """Rows of candidates, each once, the most wanted first: so many, or all where there are fewer.

    The same candidates and generator give the same rows; nothing is read or kept beside them.
    """

    def __call__(
        self, candidates: Candidates, budget: int, generator: "np.random.Generator"
    ) -> "NDArray[np.intp]": ...


def strategies() -> tuple[str, ...]:
    """The names of the installed strategies."""
    return tuple(sorted(_installed()))


def strategy_named(name: str) -> Strategy:
    """The strategy of that name; `Refused` with the installed ones when there is none."""
    if name not in _installed():
        told = ", ".join(strategies()) or "none"
        raise Refused(f"there is no labelling strategy {name!r}; there are: {told}")
    found: Strategy = _installed()[name].load()
    return found


@cache
def _installed() -> Mapping[str, EntryPoint]:
    """Looked up once: every installed distribution is asked, which takes a tenth of a second."""
    return {point.name: point for point in entry_points(group=GROUP)}
