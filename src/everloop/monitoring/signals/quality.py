"""Data quality: what is missing, and what lies outside everything that the hold-out shows.

For each figure of the inputs (see `everloop.monitoring.inputs`) and of the picture files they came
as (width, height, bytes, format: see `everloop.data.file_figures`) the share that is missing, and
the share outside the hold-out's own range (for a column of categories: names that training did not
know), by a one-sided binomial test against the larger of what training shows and one in as many as
the hold-out has. Bonferroni's correction over all of them holds the chance of a false alarm to the
stated rate.
"""

from typing import TYPE_CHECKING

from everloop.data.file_figures import FILE_FORMATS
from everloop.monitoring.finding import Finding
from everloop.monitoring.sketch import BINS, Sketch
from everloop.monitoring.watch import Watch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "data-quality"
_ALARM = 0.05
"""The share of the answers from which somebody should act."""


def data_quality(watch: Watch, sketch: Sketch, rate: float) -> Finding:
    """`alarm` where more than 5% are missing or outside, `note` where it is fewer and no chance."""
    import numpy as np
    from scipy.stats import binom

    profile = watch.profile
    rows = [row for row, kind in enumerate(profile.families) if kind in {"inputs", "files"}]
    seen = [row for row in rows if sketch.counts[row].sum()]
    if not seen:
        return Finding(NAME, "calm", "no inputs were looked at")
    finite = np.isfinite(profile.grid.edges[seen]).sum(axis=1)
    now, before = (_shares(each.counts[seen], finite) for each in (sketch, profile.train))
    # Another format is told once: as the one that came, not also as the one that did not.
    now[1, [profile.grid.names[row] in FILE_FORMATS for row in seen]] = 0
    sizes = sketch.counts[seen].sum(axis=1)
    usual = np.maximum(before, 1 / max(profile.holdout.answers, 1))
    values = binom.sf(np.rint(now * sizes) - 1, sizes, usual) * now.size
    if values.min() >= rate:
        return Finding(NAME, "calm", f"inputs as in training (p {min(1.0, values.min()):.2g})",
                       value=float(now.max()), limit=_ALARM)  # fmt: skip
    kind, place = np.unravel_index(np.where(values < rate, now, -1).argmax(), now.shape)
    name, share = profile.grid.names[seen[place]], float(now[kind, place])
    what = ("missing", "lower than any seen in training", "higher than any")[kind]
    return Finding(
        NAME,
        "alarm" if share > _ALARM else "note",
        f"{_said(name, what)} in {share:.1%} of the inputs (p {values.min():.2g})",
        value=share,
        limit=_ALARM,
        cause="quality",
        action="look at what sends these inputs",
    )


def _said(name: str, what: str) -> str:
    if name in FILE_FORMATS:
        return f"the format is {name.split()[0]}, unknown in training,"
    return f"{name} is {what}"


def _shares(counts: "NDArray[np.int64]", finite: "NDArray[np.int64]") -> "NDArray[np.float64]":
    """What is missing, below all and above all of the hold-out, `[3, F]`."""
    import numpy as np

    above = np.where(np.arange(BINS) >= finite[:, None], counts[:, :BINS], 0).sum(axis=1)
    found: NDArray[np.float64] = np.stack([counts[:, BINS], counts[:, 0], above]) / np.maximum(
        counts.sum(axis=1), 1
    )
    return found
