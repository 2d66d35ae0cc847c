"""Sketches: counts that add up, and tests on them that are as careful as on all values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from everloop.errors import Refused
from everloop.monitoring.sketch import BINS, Grid, Sketch, merged

_FLOATS = st.floats(-1e6, 1e6, width=32)


def _values(seed: int, count: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=count).astype(np.float32)


@given(
    arrays.arrays(np.float32, st.integers(1, 300), elements=_FLOATS),
    arrays.arrays(np.float32, st.integers(0, 300), elements=_FLOATS),
)
@settings(max_examples=50, deadline=None)
def test_whatever_is_counted_is_counted_once_and_parts_add_up(
    fitted: NDArray[np.float32], seen: NDArray[np.float32]
) -> None:
    grid = Grid.fitted({"a": fitted})
    half = len(seen) // 2
    whole = grid.sketch({"a": seen})
    parts = merged([grid.sketch({"a": seen[half:]}), grid.sketch({"a": seen[:half]})])
    assert whole.answers == len(seen)
    assert np.array_equal(whole.counts, parts.counts)


def test_the_table_of_cells_gives_the_bins_that_halving_gives() -> None:
    for seed, power in enumerate((1, 3, 9)):
        values = _values(seed, 50_000) ** power
        grid = Grid.fitted({"a": values[:1000]})
        quick = grid.bins("a", values)
        slow = np.concatenate([grid.bins("a", part) for part in np.array_split(values, 50)])
        assert np.array_equal(quick, slow)


def test_the_distance_of_sketches_is_at_most_that_of_all_values_and_hardly_less() -> None:
    for seed in range(10):
        before, now = _values(seed, 3000), _values(100 + seed, 400) + np.float32(0.02 * seed)
        grid = Grid.fitted({"a": before})
        shares = [grid.sketch({"a": v}).counts[0].cumsum() / len(v) for v in (before, now)]
        binned = float(np.abs(shares[0] - shares[1]).max())
        exact = float(ks_2samp(before, now).statistic)
        assert exact - 2 / BINS <= binned <= exact + 1e-9


def test_what_is_missing_or_beyond_all_that_was_seen_has_bins_of_its_own() -> None:
    grid = Grid.fitted({"few": np.array([0, 1, 2], np.float32), "many": _values(0, 1000)})
    odd = np.array([np.nan, -1, 3, 1], np.float32)
    counts = grid.sketch({"few": odd, "many": np.array([-99, 99], np.float32)}).counts
    assert (counts[0, BINS], counts[0, 0], counts[0].sum()) == (1, 1, 4)
    assert (counts[1, 0], counts[1, BINS - 1]) == (1, 1)


def test_a_sketch_comes_back_from_its_bytes_and_nothing_else_does() -> None:
    grid = Grid.fitted({"a": _values(0, 500)})
    sketch = grid.sketch({"a": _values(1, 90)})
    packed = sketch.packed()
    assert len(packed) < 700
    back = Sketch.unpacked(packed)
    assert np.array_equal(back.counts, sketch.counts)
    assert np.array_equal(back.sums, sketch.sums)
    for broken in (b"", packed[:-3], packed[:12], b"EVS1" + packed[8:], b"\x80\x04."):
        with pytest.raises(Refused, match="no sketch"):
            Sketch.unpacked(broken)
