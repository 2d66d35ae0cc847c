"""From which confidence on a model's answers may be taken for labels without a person.

Learn then Test (Angelopoulos, Bates, Candes, Jordan and Lei 2021): of a few thresholds each is
tested, on the hold-out, for the hypothesis that of the answers above it fewer than `precision` are
right. The test is the exact binomial one behind the bound of Clopper and Pearson (1934); Holm's
correction (1979) keeps the chance that any threshold is let through wrongly at `alpha`. Thresholds
are the confidences of fixed ranks: given the confidence of a rank, those above it are a plain
sample of what such a threshold lets through, so nothing is lost by choosing it by the data, and
scaling confidences (a temperature, say) changes nothing. What it promises holds for samples like
the hold-out's; whether it holds for those that come is what audits are for.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)
"""The parts of the hold-out, the surest first, above whose least confidence precision is tested."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which answers may be taken, and what that rests on."""

    threshold: float | None
    """Answers of a larger confidence; None: none."""
    accepted: int
    """Answers of the hold-out above it."""
    wrong: int
    """Of these."""
    samples: int
    """In the hold-out."""
    summary: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """What `as_json` gave."""
        return cls(**{name: told[name] for name in cls.__slots__})


def calibrate(
    confidences: "NDArray[np.floating[Any]]",
    right: "NDArray[np.bool_]",
    precision: float,
    alpha: float = 0.05,
) -> Rule:
    """The rule that accepts most of those that hold `precision`, by hold-out answers `[N]`.

    The chance that it holds less on samples like these is at most `alpha`.
    """
    import numpy as np
    from scipy.stats import binom

    count = len(right)
    if not count or not np.isfinite(confidences).all():
        return Rule(None, 0, 0, count, "the answers have no confidence to go by")
    ranked = np.sort(confidences)[::-1]
    tried: list[tuple[float, float, int, int]] = []
    for share in _SHARES:
        rank = round(share * count)
        # Below the least there is nothing; above a rank's own confidence it is not itself.
        threshold = -1.0 if rank == count else float(ranked[rank])
        above = confidences > threshold
        accepted, wrong = int(above.sum()), int((above & ~right).sum())
        chance = float(binom.cdf(wrong, accepted, 1 - precision)) if accepted else 1.0
        tried.append((chance, threshold, accepted, wrong))
    held = _holm([each[0] for each in tried], alpha)
    passed = [each for each, good in zip(tried, held, strict=True) if good]
    if not passed:
        return Rule(None, 0, 0, count, _why_none(tried, precision, count))
    _, threshold, accepted, wrong = max(passed, key=lambda each: each[2])
    told = (
        f"answers surer than {max(threshold, 0):.3f}: {wrong} of {accepted} wrong on the hold-out, "
        f"which shows a precision of {precision:g}"
    )
    return Rule(threshold, accepted, wrong, count, told)


def _holm(chances: list[float], alpha: float) -> list[bool]:
    order = sorted(range(len(chances)), key=lambda at: chances[at])
    held = [False] * len(chances)
    for place, at in enumerate(order):
        if chances[at] > alpha / (len(chances) - place):
            break
        held[at] = True
    return held


def _why_none(tried: list[tuple[float, float, int, int]], precision: float, count: int) -> str:
    _, threshold, accepted, wrong = min(tried)
    return (
        f"no confidence shows a precision of {precision:g} on {count} hold-out samples; nearest: "
        f"{wrong} of {accepted} wrong above {max(threshold, 0):.3f}"
    )
