"""What has been taken in of each source: enough to pass it over without opening a file."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from everloop.data.incoming import Incoming
from everloop.data.location import Place
from everloop.data.tables import LanceTable, text
from everloop.labels import encode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_KEY_BYTES = 16
_COLUMNS = ["first", "second"]


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


class Arrivals:
    """Appended when what they stand for is in the store, never before."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @cached_property
    def _table(self) -> LanceTable:
        import pyarrow as pa

        fields = [pa.field("source", pa.string())]
        fields += [pa.field(name, pa.int64()) for name in _COLUMNS]
        return LanceTable(self._place / "arrivals.lance", pa.schema(fields))

    def of(self, source: str) -> Known:
        """What is known of a source."""
        rows = self._table.rows(_COLUMNS, f"source = {text(source)}", ordered=False)
        return Known(rows.column("first").to_numpy(), rows.column("second").to_numpy())

    def append(self, source: str, keys: Sequence[bytes]) -> None:
        """Remember keys of a source."""
        import pyarrow as pa

        if not keys:
            return
        first, second = _halves(keys)
        self._table.append(
            pa.table({"source": pa.array([source] * len(keys)), "first": first, "second": second})
        )


def _halves(keys: Sequence[bytes]) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    import numpy as np

    pairs = np.frombuffer(b"".join(keys), dtype="<i8").reshape(len(keys), 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy()
