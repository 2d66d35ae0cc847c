"""A snapshot's two sides, read by the same code that will serve."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from everloop.data.file_figures import Facts, file_facts, file_figures
from everloop.data.fit import in_shares
from everloop.data.owner import owner_only
from everloop.data.snapshots import Snapshot
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop.labels import BoxesLabel, decode, encode
from everloop.tasks.task import Learnable, Targets
from everloop_runtime.images import ImageSpec, upright_size
from everloop_runtime.samples import Spec, input_type, to_input

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_READ = 512
_LOOKED_AT = 4000
"""Of so many files of a side the headers are looked at."""


@dataclass(frozen=True)
class SnapshotSide:
    """One side of a snapshot in memory. The training side is what a training function gets."""

    classes: tuple[str, ...]
    samples: tuple[SampleId, ...]
    origins: tuple[str, ...]
    spec: Spec
    inputs: "NDArray[Any]"
    """`[N, *spec.shape]`, as the bundle's graph takes them."""
    texts: tuple[str, ...]
    """The labels, as the stores have them; edges of boxes as shares of the picture's sides."""
    targets: Targets
    """The labels as the task has them: class indices `[N]`, ..."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Width and height of each upright picture, where labels are boxes; none elsewhere."""
    files: "Mapping[str, NDArray[np.float32]]" = field(default_factory=dict)
    """Figures of the picture files, of some spread over the side; none where samples are rows."""

    def __len__(self) -> int:
        return len(self.samples)

    def images(self) -> "NDArray[np.float32]":
        """`[N, channels, height, width]`, from 0 to 1. `Refused` where samples are rows."""
        if not isinstance(self.spec, ImageSpec):
            raise Refused("these samples are rows; data.rows() gives them")
        return self._scaled

    @cached_property
    def _scaled(self) -> "NDArray[np.float32]":
        import numpy as np

        scaled = np.ascontiguousarray(self.inputs.transpose(0, 3, 1, 2), dtype=np.float32)
        scaled /= 255
        return scaled

    def rows(self) -> "NDArray[np.float32]":
        """`[N, features]`, as the model will take them. `Refused` where samples are images."""
        if isinstance(self.spec, ImageSpec):
            raise Refused("these samples are images; data.images() gives them")
        return self.inputs

    @property
    def features(self) -> tuple[str, ...]:
        """The columns of `rows`; none where samples are images."""
        if isinstance(self.spec, ImageSpec):
            return ()
        return tuple(feature.name for feature in self.spec.features)

    def labels(self) -> Targets:
        """As the task has them: class indices `[N]`, 0 and 1 `[N, K]`, figures `[N]`, ..."""
        return self.targets


def side_bytes(store: DataStore, snapshot: Snapshot, side: str) -> Iterator[bytes]:
    """The original bytes of a side's samples, in the order of their ids."""
    samples = snapshot.side(side).column("sample").to_pylist()
    for start in range(0, len(samples), _READ):
        yield from owner_only(store.samples, samples[start : start + _READ])


def read_side(
    store: DataStore, snapshot: Snapshot, side: str, *, task: Learnable, spec: Spec
) -> SnapshotSide:
    """The samples of `side`, in the order of their ids, as a model of `spec` takes them.

    Raises `Refused` when there is none, naming a sample when one cannot be read.
    """
    import numpy as np

    rows = snapshot.side(side)
    samples = rows.column("sample").to_pylist()
    if not samples:
        raise Refused(f"snapshot {snapshot.id[:8]} has no {side} sample")
    inputs = np.empty((len(samples), *spec.shape), input_type(spec))
    texts: list[str] = rows.column("label").to_pylist()
    sizes: list[tuple[int, int]] = []
    facts: list[Facts] = []
    step = -(-len(samples) // _LOOKED_AT)
    for row, data in enumerate(side_bytes(store, snapshot, side)):
        try:
            inputs[row] = to_input(data, spec)
            if task.label_kind == "boxes":
                sizes.append(upright_size(data))
                texts[row] = _in_shares(texts[row], sizes[-1])
        except Refused as error:
            raise Refused(f"sample {samples[row][:12]}: {error}") from error
        if row % step == 0 and (told := file_facts(data, spec)):
            facts.append(told)
    return SnapshotSide(
        task.classes,
        tuple(samples),
        tuple(rows.column("origin").to_pylist()),
        spec,
        inputs,
        tuple(texts),
        task.targets(texts),
        tuple(sizes),
        file_figures(facts),
    )


def _in_shares(text: str, size: tuple[int, int]) -> str:
    label = decode(text)
    if not isinstance(label, BoxesLabel):
        return text
    return encode(in_shares(label, size))
