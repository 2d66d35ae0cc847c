"""Whether confidence means what it says: a reliability diagram in numbers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BINS = 15


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers that are about as sure as each other."""

    low: float
    high: float
    count: int
    confidence: float
    """Their mean."""
    right: float
    """The share of them that is right."""


def reliability(
    confidences: "NDArray[np.float64]", right: "NDArray[np.float64]"
) -> tuple[Bin, ...]:
    """Bins of equal width over 0 to 1, those without an answer left out (Niculescu-Mizil and
    Caruana 2005; 15 of them as in Guo et al. 2017). Nothing where answers have no confidence.
    """
    import numpy as np

    if not np.isfinite(confidences).all():
        return ()
    places = np.clip((confidences * _BINS).astype(int), 0, _BINS - 1)
    found = []
    for place in np.unique(places).tolist():
        those = places == place
        sure, share = float(confidences[those].mean()), float(right[those].mean())
        found.append(Bin(place / _BINS, (place + 1) / _BINS, int(those.sum()), sure, share))
    return tuple(found)


def calibration_facts(bins: tuple[Bin, ...]) -> dict[str, float]:
    """`expected_calibration_error` (Naeini et al. 2015): the gaps' mean, weighted by count, and
    `maximum_calibration_error`: the widest gap. Nothing without bins."""
    if not bins:
        return {}
    total = sum(each.count for each in bins)
    gaps = [abs(each.right - each.confidence) for each in bins]
    mean = sum(gap * each.count for gap, each in zip(gaps, bins, strict=True)) / total
    return {"expected_calibration_error": mean, "maximum_calibration_error": max(gaps)}
