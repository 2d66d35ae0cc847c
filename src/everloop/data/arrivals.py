"""What has been taken in of each source: enough to pass it over without opening a file."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from everloop.data.incoming import Incoming
from everloop.data.location import Place
from everloop.data.tables import LanceTable, text
from everloop.ids import SampleId
from everloop.labels import encode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_KEY_BYTES = 16
_COLUMNS = ["first", "second", "sample", "label"]
_NONE = 0
"""Stands for no label."""


def arrival_key(incoming: Incoming) -> bytes | None:
    """16 bytes that stand for a sample as its source states it now; None when it has no stamp.

    They change with the file's name or stamp and with everything that is stated of it.
    """
    if not incoming.stamp:
        return None
    stated = (
        incoming.name,
        incoming.stamp,
        None if incoming.label is None else encode(incoming.label),
        incoming.unit,
        incoming.group,
        incoming.subject,
        None if incoming.taken_at is None else incoming.taken_at.isoformat(),
        incoming.side,
        sorted(incoming.meta.items()),
    )
    # Names may hold what is no Unicode; repr tells any two apart, and is quick.
    told = repr(stated).encode("utf-8", "backslashreplace")
    return hashlib.blake2b(told, digest_size=_KEY_BYTES).digest()


class Known:
    """The keys of one source, 16 bytes each in memory, looked up many at a time."""

    def __init__(self, first: "NDArray[np.int64]", second: "NDArray[np.int64]") -> None:
        order = first.argsort(kind="stable")
        self._first, self._second = first[order], second[order]

    def __len__(self) -> int:
        return len(self._first)

    def has(self, keys: Sequence[bytes | None]) -> "NDArray[np.bool_]":
        """Which of the keys are there, `[n]`.

        Two keys that share their first half are taken for unknown: reading a file again is safe.
        """
        import numpy as np

        first, second = _halves([key or bytes(_KEY_BYTES) for key in keys])
        if not len(self._first):
            return np.zeros(len(keys), bool)
        at = np.minimum(np.searchsorted(self._first, first), len(self._first) - 1)
        found: NDArray[np.bool_] = (self._first[at] == first) & (self._second[at] == second)
        return found


class Arrived(NamedTuple):
    """A sample that is in the store, as its source states it."""

    key: bytes
    sample: SampleId
    label: str | None
    """The text of its label."""


class Arrivals:
    """Appended when what they stand for is in the store, never before."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @cached_property
    def _table(self) -> LanceTable:
        import pyarrow as pa

        fields = [pa.field("source", pa.string())]
        # Rows of the first stores tell neither sample nor label.
        fields += [pa.field(name, pa.int64()) for name in _COLUMNS]
        return LanceTable(self._place / "arrivals.lance", pa.schema(fields))

    def of(self, source: str) -> Known:
        """What is known of a source, and still is what it said last of the sample.

        What it has said otherwise since, under whatever name, is news when it says it again.
        """
        rows = self._table.rows(_COLUMNS, f"source = {text(source)}")
        first, second, sample, label = (
            rows.column(name).fill_null(_NONE).to_numpy() for name in _COLUMNS
        )
        stands = _stands(sample, label)
        return Known(first[stands], second[stands])

    def append(self, source: str, arrived: Sequence[Arrived]) -> None:
        """Remember samples of a source."""
        import pyarrow as pa

        if not arrived:
            return
        first, second = _halves([each.key for each in arrived])
        numbers = {label: _number(label) for label in {each.label for each in arrived}}
        samples = b"".join(bytes.fromhex(each.sample[:16]) for each in arrived)
        self._table.append(
            pa.table(
                {
                    "source": pa.array([source] * len(arrived)),
                    "first": first,
                    "second": second,
                    "sample": _numbers(samples),
                    "label": pa.array([numbers[each.label] for each in arrived], pa.int64()),
                }
            )
        )


def _stands(sample: "NDArray[np.int64]", label: "NDArray[np.int64]") -> "NDArray[np.bool_]":
    """Which rows have the label of the last labelled row of their sample, or none at all, `[n]`."""
    import numpy as np

    stands = np.ones(len(sample), bool)
    labelled = np.flatnonzero(label != _NONE)
    if not len(labelled):
        return stands
    of_labelled = sample[labelled]
    by_sample = of_labelled.argsort(kind="stable")
    ordered = of_labelled[by_sample]
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    said_last = label[labelled][by_sample[last]]
    stands[labelled] = said_last[np.searchsorted(ordered[last], of_labelled)] == label[labelled]
    return stands


def _number(label: str | None) -> int:
    """What is kept of a label to know it again."""
    if label is None:
        return _NONE
    told = hashlib.blake2b(label.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(told, "little", signed=True) or 1


def _numbers(data: bytes) -> "NDArray[np.int64]":
    import numpy as np

    return np.frombuffer(data, dtype="<i8").copy()


def _halves(keys: Sequence[bytes]) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    import numpy as np

    pairs = np.frombuffer(b"".join(keys), dtype="<i8").reshape(len(keys), 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy()
