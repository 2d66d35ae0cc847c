"""Counts of figures in bins: all that is kept of the answers of a period, and they add up.

A *grid* has for each figure the edges of its bins: quantiles of the hold-out, so that each bin
holds about as many of its samples. A *sketch* has how many answers fell in each bin. Sketches of
one grid are added, in any order and grouping, without loss: of replicas, of segments, of hours. The
largest difference of two distributions at the edges is at most the Kolmogorov-Smirnov distance, and
falls short of it by at most what one bin holds, so tests on sketches raise no more false alarms
than on all values (see docs/decisions/monitoring.md, also for why no library of sketches is used).
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from everloop.errors import Refused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BINS = 128
"""Of each figure; one more is for what is missing."""
_HEAD = struct.Struct("<4sII")
_MAGIC = b"EVS1"
_LARGEST = 2**32 - 1
_CELLS = 65_536
_UNSURE = 255
"""Stands for the bin of a cell with an edge in it."""
_STEEP = 1e30
"""Cells that would be narrower than this many to one are no use."""
_MANY = 20_000
"""From so many values on, bins are looked up in a table of cells."""


@dataclass(frozen=True)
class Grid:
    """The bins of some figures."""

    names: tuple[str, ...]
    edges: "NDArray[np.float32]"
    """`[F, BINS - 1]`, growing along each row; repeated where a figure has few values."""

    @staticmethod
    def fitted(figures: "Mapping[str, NDArray[np.float32]]") -> "Grid":
        """Edges at the quantiles of `[N]` values each; where a figure has fewer values than bins,
        between these."""
        import numpy as np

        rows = [_edges(np.asarray(values, np.float32)) for values in figures.values()]
        edges = np.stack(rows) if rows else np.empty((0, BINS - 1), np.float32)
        return Grid(tuple(figures), edges)

    def sketch(self, figures: "Mapping[str, NDArray[np.float32]]") -> "Sketch":
        """How many of `[N]` values of each figure fall in each bin; of what is not given, none."""
        import numpy as np

        counts = np.zeros((len(self.names), BINS + 1), np.int64)
        sums = np.zeros(len(self.names))
        for row, name in enumerate(self.names):
            if name not in figures:
                continue
            values = np.asarray(figures[name], np.float32)
            bins = self._places[row].bins(values)
            counts[row] = np.bincount(bins, minlength=BINS + 1)
            total = values.sum(dtype=np.float64)
            sums[row] = np.nansum(values, dtype=np.float64) if np.isnan(total) else total
        return Sketch(counts, sums, np.zeros(0))

    def bins(self, name: str, values: "NDArray[np.float32]") -> "NDArray[np.integer]":
        """The bin of each value of a figure, `[N]`; `BINS` for what is missing."""
        return self._places[self.names.index(name)].bins(values)

    @cached_property
    def _places(self) -> "Sequence[_Places]":
        return [_Places(edges) for edges in self.edges]


@dataclass(frozen=True, slots=True)
class Sketch:
    """The counts of a grid's figures."""

    counts: "NDArray[np.int64]"
    """`[F, BINS + 1]`; the last bin counts what is missing (NaN)."""
    sums: "NDArray[np.float64]"
    """Of the values that are there, `[F]`."""
    moments: "NDArray[np.float64]"
    """Sums of whatever else is added up over the answers, `[M]`."""

    def __add__(self, other: "Sketch") -> "Sketch":
        return merged([self, other])

    def packed(self) -> bytes:
        """As bytes: small, since most bins of few answers are empty.

        `Refused` where one bin counts 2^32.
        """
        sizes = (len(self.counts), len(self.moments))
        if self.counts.max(initial=0) > _LARGEST:
            raise Refused(f"a sketch of {self.answers} answers is too large to be kept")
        parts = (self.counts.astype("<u4"), self.sums.astype("<f8"), self.moments.astype("<f8"))
        return _HEAD.pack(_MAGIC, *sizes) + zlib.compress(
            b"".join(part.tobytes() for part in parts), 1
        )

    @staticmethod
    def unpacked(data: bytes) -> "Sketch":
        """What `packed` gave. `Refused` when it is something else."""
        import numpy as np

        try:
            magic, figures, moments = _HEAD.unpack_from(data)
            cells = figures * (BINS + 1)
            size = 4 * cells + 8 * (figures + moments)
            unzip = zlib.decompressobj()
            plain = unzip.decompress(data[_HEAD.size :], size + 1)
        except (struct.error, zlib.error) as error:
            raise Refused(f"these {len(data)} bytes are no sketch: {error}") from error
        if magic != _MAGIC or len(plain) != size or not unzip.eof:
            raise Refused(f"these {len(data)} bytes are no sketch of {figures} figures")
        counts = np.frombuffer(plain, "<u4", cells).reshape(figures, BINS + 1).astype(np.int64)
        rest = np.frombuffer(plain, "<f8", offset=4 * cells)
        return Sketch(counts, rest[:figures], rest[figures:])

    @property
    def answers(self) -> int:
        """How many were counted."""
        return int(self.counts[0].sum()) if len(self.counts) else 0

    @property
    def present(self) -> "NDArray[np.int64]":
        """How many values there are, `[F]`."""
        found: NDArray[np.int64] = self.counts[:, :BINS].sum(axis=1)
        return found

    @property
    def means(self) -> "NDArray[np.float64]":
        """Of the values that are there, `[F]`; NaN of none."""
        import numpy as np

        with np.errstate(invalid="ignore"):
            found: NDArray[np.float64] = self.sums / self.present
        return found


def merged(sketches: "Sequence[Sketch]") -> Sketch:
    """Several sketches of one grid as one; at least one is wanted."""
    parts = zip(*((each.counts, each.sums, each.moments) for each in sketches), strict=True)
    return Sketch(*(sum(part[1:], part[0]) for part in parts))


class _Places:
    """Finds bins: by a table of equal cells, and by halving where an edge is within the cell.

    Halving alone takes seven steps that no processor foresees, for each value.
    """

    def __init__(self, edges: "NDArray[np.float32]") -> None:
        import numpy as np

        self._edges = edges
        finite = edges[np.isfinite(edges)]
        low, high = (float(finite[0]), float(finite[-1])) if len(finite) else (0.0, 0.0)
        # Cells reach beyond the outer edges by one each.
        scale = (_CELLS - 2) / (high - low) if high > low else 0.0
        self._usable = 0 < scale < _STEEP
        if not self._usable:
            return
        self._scale, self._low = np.float32(scale), np.float32(low)
        # The very arithmetic that places values places edges: a cell without an edge is one bin.
        cells = self._cells(finite)
        self._bin = np.cumsum(np.bincount(cells, minlength=_CELLS)).astype(np.uint8)
        self._bin[cells] = _UNSURE

    def _cells(self, values: "NDArray[np.float32]") -> "NDArray[np.uint16]":
        import numpy as np

        scaled = values - self._low
        scaled *= self._scale
        scaled += np.float32(1)
        np.clip(scaled, 0, _CELLS - 1, out=scaled)
        return scaled.astype(np.uint16)

    def bins(self, values: "NDArray[np.float32]") -> "NDArray[np.integer]":
        """The number of edges below each value, `BINS` for NaN."""
        import numpy as np

        if not self._usable or len(values) < _MANY or np.isnan(values.sum()):
            found = np.searchsorted(self._edges, values, side="left")
            found[np.isnan(values)] = BINS
            return found
        cells = self._cells(values)
        quick = self._bin.take(cells)
        (unsure,) = np.nonzero(quick == _UNSURE)
        quick[unsure] = np.searchsorted(self._edges, values[unsure], side="left")
        return quick


def _edges(values: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """The first bin is for what is below all `values`, the one after the last finite edge above."""
    import numpy as np

    edges = np.full(BINS - 1, np.inf, np.float32)
    values = values[np.isfinite(values)]
    if not len(values):
        return edges
    different = np.unique(values)
    below = np.nextafter(different[0], np.float32(-np.inf))
    if len(different) < BINS - 1:
        # A value is its own edge. The rest is never reached.
        edges[: len(different) + 1] = [below, *different]
        return edges
    shares = np.arange(1, BINS - 1) / (BINS - 2)
    edges[0], edges[1:] = below, np.quantile(values, shares, method="higher")
    return edges
