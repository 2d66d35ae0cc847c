"""Ways to damage rows of a table, each at five strengths; in the numbers the model takes."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from everloop_runtime.rows import RowSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows: TypeAlias = NDArray[np.float32]
    """`[N, features]`"""
    Damage: TypeAlias = Callable[[Rows, int, RowSpec, Rows, np.random.Generator], "Rows | None"]

_MISSING = (0.05, 0.1, 0.2, 0.35, 0.5)
"""The share of values that is missing."""
_NOISE = (0.1, 0.2, 0.4, 0.7, 1.0)
"""Standard deviation, of the column's own."""
_SHIFT = (0.25, 0.5, 1.0, 1.5, 2.0)
"""By how many of the column's standard deviations every figure is moved, up or down by column."""
_UNKNOWN = (0.05, 0.1, 0.2, 0.35, 0.5)
"""The share of categories that was never seen in training."""


def missing(
    rows: "Rows", severity: int, spec: RowSpec, _whole: "Rows", generator: "np.random.Generator"
) -> "Rows | None":
    """Values that did not come, where the service takes a row without; None where it never does."""
    import numpy as np

    may = np.array([feature.may_miss for feature in spec.features])
    if not may.any():
        return None
    gone = (generator.random(rows.shape) < _MISSING[severity - 1]) & may
    return np.where(gone, np.float32(np.nan), rows)


def noise(
    rows: "Rows", severity: int, spec: RowSpec, whole: "Rows", generator: "np.random.Generator"
) -> "Rows | None":
    """Sensors that scatter; None without a column of figures."""
    import numpy as np

    spread = _spread(spec, whole)
    if not spread.any():
        return None
    moved = generator.normal(0, 1, rows.shape) * spread * _NOISE[severity - 1]
    return (rows + moved).astype(np.float32)


def shift(
    rows: "Rows", severity: int, spec: RowSpec, whole: "Rows", _generator: "np.random.Generator"
) -> "Rows | None":
    """Sensors that drifted; None without a column of figures."""
    import numpy as np

    spread = _spread(spec, whole)
    if not spread.any():
        return None
    # Of the whole suite the same columns go the same way, whichever part is damaged.
    ways = np.random.default_rng(len(spread)).choice([-1.0, 1.0], len(spread))
    return (rows + ways * spread * _SHIFT[severity - 1]).astype(np.float32)


def unknown(
    rows: "Rows", severity: int, spec: RowSpec, _whole: "Rows", generator: "np.random.Generator"
) -> "Rows | None":
    """Categories that are new; None without a column of categories."""
    import numpy as np

    named = np.array([feature.categories is not None for feature in spec.features])
    if not named.any():
        return None
    new = (generator.random(rows.shape) < _UNKNOWN[severity - 1]) & named & np.isfinite(rows)
    return np.where(new, np.float32(-1), rows)


def _spread(spec: RowSpec, whole: "Rows") -> "NDArray[np.float64]":
    """Standard deviation of each column of figures, `[features]`; 0 for the others."""
    import numpy as np

    figures = np.array([feature.categories is None for feature in spec.features])
    known = np.isfinite(whole)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, whole, 0).sum(axis=0, dtype=np.float64) / count
    apart = np.where(known, whole - mean, 0.0)
    return np.where(figures, np.sqrt((apart**2).sum(axis=0) / count), 0.0)


DAMAGES: "Mapping[str, Damage]" = {
    "missing": missing,
    "noise": noise,
    "shift": shift,
    "unknown": unknown,
}
