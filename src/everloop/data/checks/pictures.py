"""Pictures that are dark, bright, flat, blurred or of an odd size, as their data set goes.

Each rule has two halves: the picture must stand out of its own data set (a data set of night
pictures has no dark ones), and be beyond a floor by itself (in a data set of bright pictures the
least bright one is not dark). What is beyond the outer floor is told whatever the others are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.data.checks.finding import Finding, Item, present
from everloop.data.checks.outliers import FAR, robust_scores
from everloop.ids import SampleId

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Rule:
    """One figure, on one side of its data set."""

    code: str
    title: str
    figure: str
    sign: int
    """-1: too little of it; 1: too much."""
    floor: float
    """It must be beyond this as well as stand out."""
    outer: float
    """Beyond this it is told even where all are."""
    least_spread: float
    """Standard deviation below which differences between pictures do not count."""
    logarithm: bool = False


RULES = (
    Rule("dark", "dark pictures", "brightness", -1, 50.0, 8.0, 4.0),
    Rule("bright", "washed-out pictures", "brightness", 1, 215.0, 254.0, 4.0),
    Rule("flat", "pictures that hold hardly anything", "contrast", -1, 8.0, 2.0, 2.0),
    Rule("blurred", "blurred pictures", "sharpness", -1, 60.0, 0.5, 0.25, logarithm=True),
)
ODD_FACTOR = 2.0
"""An odd size or shape differs from the usual one by this factor at least."""


def odd_pictures(samples: Sequence[SampleId], figures: "pa.Table") -> Sequence[Finding]:
    """Findings about pictures with the given `Examinations.figures`."""
    found = [_by_rule(rule, samples, figures) for rule in RULES]
    return present(*found, _sizes(samples, figures), _films(samples, figures))


def _by_rule(rule: Rule, samples: Sequence[SampleId], figures: "pa.Table") -> Finding:
    import numpy as np

    values = figures.column(rule.figure).to_numpy().astype(np.float64)
    told = np.log10(np.maximum(values, 1e-3)) if rule.logarithm else values
    scores = rule.sign * robust_scores(told, rule.least_spread)
    beyond = rule.sign * (values - rule.floor) > 0
    far_beyond = rule.sign * (values - rule.outer) > 0
    bad = np.flatnonzero((beyond & (scores > FAR)) | far_beyond)
    order = bad[np.argsort(-scores[bad], kind="stable")]
    middle = float(np.median(values)) if len(values) else 0.0
    side = "below" if rule.sign < 0 else "above"
    items = [
        Item(f"{rule.figure} {values[row]:.1f}, the median is {middle:.1f}", (samples[row],))
        for row in order.tolist()
    ]
    why = (
        f"{rule.figure} {side} {rule.floor:g} and more than {FAR} robust standard deviations "
        f"{side} the median {middle:.1f}; or {side} {rule.outer:g}"
    )
    return Finding(rule.code, "look", rule.title, why, tuple(items))


def _sizes(samples: Sequence[SampleId], figures: "pa.Table") -> Finding:
    import numpy as np

    wide = figures.column("width").to_numpy().astype(np.float64)
    high = figures.column("height").to_numpy().astype(np.float64)
    least = np.log2(ODD_FACTOR) / FAR
    # Portrait and landscape of one camera are the same shape.
    shape = np.log2(np.maximum(wide, high) / np.minimum(wide, high))
    scores = np.maximum(
        np.abs(robust_scores(np.log2(wide * high) / 2, least)), np.abs(robust_scores(shape, least))
    )
    rows = np.flatnonzero(scores > FAR)
    usual = _usual_size(wide, high)
    items = [
        Item(f"{wide[row]:.0f} x {high[row]:.0f}", (samples[row],))
        for row in rows[np.argsort(-scores[rows], kind="stable")].tolist()
    ]
    why = (
        f"side or shape differs from the usual (such as {usual}) by a factor of {ODD_FACTOR:g} "
        f"and by more than {FAR} robust standard deviations of its logarithm"
    )
    return Finding("odd-size", "look", "pictures of an odd size or shape", why, tuple(items))


def _usual_size(wide: "NDArray[np.float64]", high: "NDArray[np.float64]") -> str:
    from collections import Counter

    if not len(wide):
        return "none"
    (width, height), _ = Counter(zip(wide.tolist(), high.tolist(), strict=True)).most_common(1)[0]
    return f"{width:.0f} x {height:.0f}"


def _films(samples: Sequence[SampleId], figures: "pa.Table") -> Finding:
    frames = figures.column("frames").to_pylist()
    items = [
        Item(f"{count} frames", (samples[row],)) for row, count in enumerate(frames) if count > 1
    ]
    why = "only the first frame or page of a file is learnt from and served"
    return Finding("several-frames", "know", "files of several frames", why, tuple(items))
