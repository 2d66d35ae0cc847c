"""A column as a series of measurements: where it stands still, where zero is no value, gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.errors import Refused

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

CHANCE = 0.001
"""A run is told when fewer than this many as long are expected in the whole series."""
LEAST_RUN = 6
LEAST_GAP = 2.5
"""Usual steps between values that must lie empty between 0 and the rest."""
_PRIOR = 20.0
"""Rows by which the whole column's share of repetitions counts for a single value."""


@dataclass(frozen=True, slots=True)
class Run:
    """One value, on end."""

    start: int
    rows: int
    value: float


@dataclass(frozen=True, slots=True)
class LoneZeros:
    """Zeros apart from everything else."""

    rows: int
    next: float


@dataclass(frozen=True, slots=True)
class Gap:
    """Moments that have no row."""

    after: "np.datetime64"
    before: "np.datetime64"
    missing: int


def stuck_runs(values: "NDArray[np.float64]") -> Sequence[Run]:
    """Runs of one value that are longer than chance makes them, the longest first.

    The chance that a value is repeated is taken from the rest of the column: from the other runs
    of the same value where there are many, from all values otherwise; so a wind that is often
    calm for hours is not stuck, and a humidity that is 0 on one day only is. The expected number
    of runs of n rows among N is N * p^(n - 1).
    """
    import numpy as np

    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    lengths = np.diff(np.append(starts, len(values)))
    kinds, kind = np.unique(values[starts], return_inverse=True)
    rows = np.bincount(kind, lengths, len(kinds))
    repeats = np.bincount(kind, lengths - 1, len(kinds))
    usual = repeats.sum() / max(rows.sum(), 1)
    # Without the run itself: it must not vouch for its own length.
    others = repeats[kind] - (lengths - 1) + _PRIOR * usual
    chance = np.minimum(others / (rows[kind] - lengths + _PRIOR), 1 - 1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.log(len(values)) + (lengths - 1) * np.log(chance)
    found = np.flatnonzero((expected < np.log(CHANCE)) & (lengths >= LEAST_RUN))
    found = found[np.argsort(-lengths[found], kind="stable")]
    return [
        Run(int(starts[at]), int(lengths[at]), float(values[starts[at]])) for at in found.tolist()
    ]


def lone_zeros(values: "NDArray[np.float64]") -> LoneZeros | None:
    """Zeros of a column that is otherwise well above it; None where there are none."""
    import numpy as np

    known = np.unique(values[np.isfinite(values)])
    if len(known) < 3 or known[0] != 0.0:
        return None
    step = float(np.median(np.diff(known[1:])))
    if known[1] < LEAST_GAP * step:
        return None
    return LoneZeros(int((values == 0).sum()), float(known[1]))


def moments(table: "pa.Table", columns: Sequence[str]) -> "NDArray[np.datetime64]":
    """When each row came about, by a column of moments or dates and perhaps one of hours.

    Raises `Refused` when they are none.
    """
    import numpy as np
    import pyarrow as pa

    try:
        first = table.column(columns[0]).cast(pa.timestamp("s"))
        when: NDArray[np.datetime64] = first.to_numpy().astype("datetime64[s]")
        if len(columns) > 1:
            hours = table.column(columns[1]).to_numpy().astype(np.float64)
            when = when + (hours * 3600).astype("timedelta64[s]")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, TypeError) as error:
        raise Refused(
            f"{' and '.join(columns)} are no moments (a date or moment, then hours): {error}"
        ) from error
    return when


def missing_times(when: "NDArray[np.datetime64]") -> Sequence[Gap]:
    """Gaps in a series with a usual step, in order; none where rows come at any time."""
    import numpy as np

    ordered = np.unique(when)
    if len(ordered) < 3:
        return ()
    steps = np.diff(ordered).astype(np.int64)
    usual = int(np.median(steps))
    if (steps == usual).mean() < 0.5:
        return ()
    return [
        Gap(ordered[at], ordered[at + 1], round(int(steps[at]) / usual) - 1)
        for at in np.flatnonzero(steps > 1.5 * usual).tolist()
    ]
