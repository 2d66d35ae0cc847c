"""Reading a snapshot: any rows at random, or all of them in bounded memory, decoded ahead."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, TypeVar

from everloop.data.location import Location, Place, located
from everloop.data.store import DataStore
from everloop.errors import Conflict, Refused
from everloop.ids import SampleId, SnapshotId
from everloop_runtime.images import ImageSpec, to_array

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")
Order: TypeAlias = Literal["sample", "stored"]
_BATCH = 256
_AHEAD = 4
"""Batches that are read or decoded before they are asked for."""


class Example(NamedTuple):
    """One sample with its label."""

    sample: SampleId
    label: str
    data: bytes
    """As they came; decode them with `pixels`."""

    def pixels(self, spec: ImageSpec) -> "NDArray[np.uint8]":
        """`[height, width, channels]`; `Refused` naming the sample when it cannot be decoded."""
        try:
            return to_array(self.data, spec)
        except Refused as error:
            raise Refused(f"sample {self.sample[:12]}: {error}") from error


@dataclass(frozen=True)
class SnapshotReader:
    """One side of a snapshot, or both. Small to pickle: each process opens the store itself."""

    location: Location
    snapshot: SnapshotId
    side: str | None = None
    """`train` or `holdout`; None for both."""
    cache: "Path | None" = None

    @classmethod
    def of(
        cls, place: Place, snapshot: SnapshotId, side: str | None, cache: "Path | None" = None
    ) -> "SnapshotReader":
        """A reader of the snapshot in the store at `place`."""
        return cls(located(place), snapshot, side, cache)

    def __getstate__(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @cached_property
    def rows(self) -> "pa.Table":
        """`sample`, `side`, `label`, `annotation`, `by`, `origin`, sorted by sample."""
        snapshot = self._store.snapshots.open(self.snapshot)
        rows = snapshot.rows if self.side is None else snapshot.side(self.side)
        return rows.combine_chunks()

    def read(self, rows: Sequence[int]) -> list[Example]:
        """Rows by number, in the order asked for.

        Raises `Refused` when the bytes of one are no longer in the store.
        """
        import numpy as np
        import pyarrow as pa

        numbers = np.asarray(rows, np.int64)
        names, labels = (column.take(pa.array(numbers)).to_pylist() for column in self._told)
        return list(map(Example, names, labels, self._read(numbers)))

    def __iter__(self) -> Iterator[Example]:
        return (example for batch in self.batches() for example in batch)

    def batches(self, size: int = _BATCH, order: Order = "sample") -> Iterator[list[Example]]:
        """All rows, a few batches read ahead.

        `sample` is the same order on every store; `stored` is the fastest.
        """
        return (examples for _, examples in self.numbered(size, order))

    def numbered(
        self, size: int = _BATCH, order: Order = "sample"
    ) -> Iterator[tuple[list[int], list[Example]]]:
        """The same with each batch's row numbers."""
        return _ahead(lambda rows: (rows, self.read(rows)), self._parts(size, order), threads=2)

    def arrays(
        self, spec: ImageSpec, size: int = _BATCH, order: Order = "sample", threads: int = 2
    ) -> "Iterator[tuple[NDArray[np.uint8], list[str]]]":
        """Pixels `[n, height, width, channels]` and labels, decoded in background threads."""
        import numpy as np

        def decoded(rows: list[int]) -> "tuple[NDArray[np.uint8], list[str]]":
            examples = self.read(rows)
            pixels = np.stack([example.pixels(spec) for example in examples])
            return pixels, [example.label for example in examples]

        return _ahead(decoded, self._parts(size, order), threads=threads)

    @cached_property
    def _store(self) -> DataStore:
        return DataStore(self.location, self.cache)

    @cached_property
    def _told(self) -> "Sequence[pa.Array]":
        return [_one_array(self.rows.column(name)) for name in ("sample", "label")]

    @cached_property
    def _places(self) -> "NDArray[np.int64]":
        """Where each row's bytes lie, -1 where that was not asked for yet."""
        import numpy as np

        return np.full(len(self), -1, np.int64)

    def _read(self, rows: "NDArray[np.int64]") -> list[bytes]:
        self._locate(rows)
        try:
            return self._store.samples.read_rows(self._places[rows])
        except Conflict:
            # Rewritten since the places were looked up: they are looked up again.
            self._places[:] = -1
            self._locate(rows)
            return self._store.samples.read_rows(self._places[rows])

    def _locate(self, rows: "NDArray[np.int64]") -> None:
        """Look up where rows lie, and as many more as are known: who reads some reads others."""
        import numpy as np
        import pyarrow as pa

        unknown = np.flatnonzero(self._places < 0)
        wanted = np.intersect1d(rows, unknown)
        if not len(wanted):
            return
        others = np.setdiff1d(unknown[: len(self) - len(unknown)], wanted)
        names, more = (self._told[0].take(pa.array(each)).to_pylist() for each in (wanted, others))
        found = self._store.samples.rows_of(names, more)
        self._places[wanted] = [found[name] for name in names]
        self._places[others] = [found.get(name, -1) for name in more]

    def _parts(self, size: int, order: Order) -> Iterator[list[int]]:
        numbers = self._order(order)
        return (numbers[start : start + size].tolist() for start in range(0, len(self), size))

    def _order(self, order: Order) -> "NDArray[np.int64]":
        import numpy as np

        if order == "sample":
            return np.arange(len(self))
        self._locate(np.arange(len(self)))
        return np.argsort(self._places, kind="stable")


def _one_array(column: "pa.ChunkedArray") -> "pa.Array":
    """A column of combined chunks as one array."""
    import pyarrow as pa

    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def _ahead(
    work: Callable[[_Part], _Result], parts: Iterator[_Part], *, threads: int
) -> Iterator[_Result]:
    """The results in order, at most a few begun before they are asked for."""
    with ThreadPoolExecutor(threads, "everloop-read") as pool:
        begun: deque[Future[_Result]] = deque()
        try:
            for part in parts:
                begun.append(pool.submit(work, part))
                if len(begun) > _AHEAD:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
