"""Label shift: other shares of the classes.

The shares of the answers are compared with the hold-out's by a chi-square test of homogeneity, at
the stated rate. From them and the hold-out's confusion the shares of the true classes follow by
black-box shift estimation (Lipton et al. 2018), `C w = q`, solved under `w >= 0`: it is right where
only the shares changed, and not what each class looks like.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.monitoring.finding import Finding
from everloop.monitoring.profile import ANSWER
from everloop.monitoring.sketch import Sketch
from everloop.monitoring.watch import Watch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "label-shift"
_LIMIT = 0.1
"""Total variation from which it is worth a note."""


@dataclass(frozen=True, slots=True)
class Priors:
    """The estimated shares of the classes."""

    p_value: float
    """Of the same shares of answers as on the hold-out."""
    before: "NDArray[np.float64]"
    """On the hold-out, `[K]`."""
    now: "NDArray[np.float64]"
    """`[K]`"""

    @property
    def distance(self) -> float:
        """Total variation: the part of the answers that is of other classes than before."""
        return float(abs(self.now - self.before).sum() / 2)


def priors(watch: Watch, sketch: Sketch) -> Priors | None:
    """The estimate; None where answers are not one class of several, or are of an old bundle."""
    import numpy as np
    from scipy.optimize import nnls
    from scipy.stats import chi2_contingency

    profile = watch.profile
    classes = len(profile.confusion)
    if not classes or ANSWER not in profile.grid.names or not sketch.answers:
        return None
    row = profile.grid.names.index(ANSWER)
    held, given = (
        _by_class(watch, each.counts[row], classes) for each in (profile.holdout, sketch)
    )
    both = np.stack([held, given])
    both = both[:, both.sum(axis=0) > 0]
    p_value = float(chi2_contingency(both, correction=False).pvalue) if both.shape[1] > 1 else 1.0
    joint = profile.confusion / profile.confusion.sum()
    weights, _ = nnls(joint, given / given.sum())
    before = joint.sum(axis=0)
    now = weights * before
    return Priors(p_value, before, now / now.sum() if now.sum() > 0 else before)


def label_shift(watch: Watch, sketch: Sketch, rate: float, classes: tuple[str, ...]) -> Finding:
    """`note` where the shares of the classes moved by more than a tenth, and not by chance."""
    found = priors(watch, sketch)
    if found is None:
        return Finding(NAME, "calm", "the classes of answers are not counted")
    moved = found.now - found.before
    worst = int(abs(moved).argmax())
    name = classes[worst] if worst < len(classes) else str(worst)
    summary = f"{name} {found.before[worst]:.1%} before, {found.now[worst]:.1%} now"
    if found.p_value >= rate or found.distance < _LIMIT:
        return Finding(NAME, "calm", f"classes as on the hold-out ({summary})",
                       value=found.distance, limit=_LIMIT)  # fmt: skip
    return Finding(
        NAME,
        "note",
        f"{found.distance:.0%} of the inputs are of other classes: {summary} "
        f"(p {found.p_value:.2g})",
        value=found.distance,
        limit=_LIMIT,
        slice=f"class={name}",
        cause="prior",
        action="audit the class that grew, where it is one the model is weak at",
    )


def _by_class(watch: Watch, counts: "NDArray[np.int64]", classes: int) -> "NDArray[np.float64]":
    """Counts of the bins as counts of the classes, `[classes]`."""
    import numpy as np

    places = watch.profile.grid.bins(ANSWER, np.arange(classes, dtype=np.float32))
    found: NDArray[np.float64] = counts[places].astype(np.float64)
    return found
