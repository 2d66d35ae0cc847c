"""A snapshot's two sides, decoded by the same code that will serve."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from everloop.data.owner import owner_only
from everloop.data.snapshots import Snapshot
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop_runtime.images import ImageSpec, to_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_READ = 512


@dataclass(frozen=True)
class SnapshotSide:
    """One side of a snapshot in memory. The training side is what a training function gets."""

    classes: tuple[str, ...]
    samples: tuple[SampleId, ...]
    origins: tuple[str, ...]
    pixels: "NDArray[np.uint8]"
    """`[N, height, width, channels]`"""
    indices: "NDArray[np.int64]"
    """Class indices, `[N]`"""

    def __len__(self) -> int:
        return len(self.samples)

    def images(self) -> "NDArray[np.float32]":
        """`[N, channels, height, width]`, from 0 to 1."""
        return self._scaled

    @cached_property
    def _scaled(self) -> "NDArray[np.float32]":
        import numpy as np

        scaled = np.ascontiguousarray(self.pixels.transpose(0, 3, 1, 2), dtype=np.float32)
        scaled /= 255
        return scaled

    def labels(self) -> "NDArray[np.int64]":
        """Class indices, `[N]`."""
        return self.indices


def read_side(
    store: DataStore, snapshot: Snapshot, side: str, *, classes: Sequence[str], spec: ImageSpec
) -> SnapshotSide:
    """The samples of `side`, in the order of their ids.

    Raises `Refused` when there is none, naming a sample when one cannot be decoded.
    """
    import numpy as np

    rows = snapshot.side(side)
    samples = rows.column("sample").to_pylist()
    if not samples:
        raise Refused(f"snapshot {snapshot.id[:8]} has no {side} sample")
    pixels = np.empty((len(samples), spec.height, spec.width, spec.channels), np.uint8)
    for start in range(0, len(samples), _READ):
        part = samples[start : start + _READ]
        for offset, data in enumerate(owner_only(store.samples, part)):
            try:
                pixels[start + offset] = to_array(data, spec)
            except Refused as error:
                raise Refused(f"sample {part[offset][:12]}: {error}") from error
    index = {name: number for number, name in enumerate(classes)}
    labels = [index[label] for label in rows.column("label").to_pylist()]
    return SnapshotSide(
        tuple(classes),
        tuple(samples),
        tuple(rows.column("origin").to_pylist()),
        pixels,
        np.asarray(labels, dtype=np.int64),
    )
