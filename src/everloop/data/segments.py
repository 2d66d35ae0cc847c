"""Segments: what a snapshot says of some samples, sorted by sample, in a file that never changes.

A snapshot is a short list of segments, oldest first. Where two speak of one sample the newer one
stands, also when it says that the sample is gone.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from everloop.data.blobs import BlobStore
from everloop.errors import Unavailable
from everloop.ids import SampleId
from everloop_runtime.files import write_atomic

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

COLUMNS = ("sample", "side", "label", "annotation", "by", "origin")
PINNED = COLUMNS[:4]
"""The part that names the snapshot: an annotation's id tells whose it is."""
_GONE = "gone"
_ROWS_OF_A_BATCH = 65_536
_ID_LENGTH = 64
_FOLDER = "segments"
REDACTED = ".redacted"
"""What is left of a file once samples are forgotten lies beside it for a moment, under this."""
FORGOTTEN = b"everloop.forgotten"
"""In a file's metadata: how many rows were taken out of it since it was written."""


class Row(NamedTuple):
    """What a snapshot says of one sample."""

    sample: SampleId
    side: str
    label: str
    annotation: str
    by: str
    origin: str


@dataclass(frozen=True)
class Segment:
    """An opened segment; its file is looked into where a row is asked for."""

    table: "pa.Table"

    @property
    def rows(self) -> int:
        """How many samples it speaks of."""
        return int(self.table.num_rows)

    @property
    def forgotten(self) -> int:
        """How many of its samples were forgotten since it was written."""
        return int((self.table.schema.metadata or {}).get(FORGOTTEN, 0))

    @cached_property
    def keys(self) -> "Sequence[NDArray[np.bytes_]]":
        """The samples, one array a batch, sorted."""
        return [_keys(chunk) for chunk in self.table.column("sample").chunks if len(chunk)]

    @cached_property
    def _batches(self) -> "tuple[Sequence[pa.RecordBatch], NDArray[np.bytes_]]":
        import numpy as np

        batches = [batch for batch in self.table.to_batches() if batch.num_rows]
        return batches, np.array([keys[0] for keys in self.keys], dtype="S")

    def find(self, samples: "NDArray[np.bytes_]") -> "pa.Table":
        """The rows of those samples that it speaks of, `gone` telling which it says are gone."""
        import numpy as np
        import pyarrow as pa

        batches, firsts = self._batches
        found = [pa.RecordBatch.from_pylist([], self.table.schema)]
        owner = np.searchsorted(firsts, samples, side="right") - 1
        for number in np.unique(owner[owner >= 0]) if batches else ():
            wanted, keys = samples[owner == number], self.keys[number]
            places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            hits = places[keys[places] == wanted]
            found.append(batches[number].take(_indices(hits)))
        return _with_gone(pa.Table.from_batches(found))


def _keys(chunk: "pa.Array") -> "NDArray[np.bytes_]":
    """The values as fixed-length bytes, without a copy where all are ids."""
    import numpy as np

    _, offsets, data = chunk.buffers()
    starts = np.frombuffer(offsets, np.int32, len(chunk) + 1, chunk.offset * 4)
    if starts[-1] - starts[0] == _ID_LENGTH * len(chunk) and (np.diff(starts) == _ID_LENGTH).all():
        return np.frombuffer(data, f"S{_ID_LENGTH}", len(chunk), int(starts[0]))
    return np.array([value.encode() for value in chunk.to_pylist()], dtype="S")


def keys_of(rows: "pa.Table") -> "NDArray[np.bytes_]":
    """The samples of some rows."""
    import numpy as np

    chunks = rows.column("sample").chunks
    return np.concatenate([np.array([], "S"), *(_keys(chunk) for chunk in chunks if len(chunk))])


def nothing() -> "pa.Table":
    """No rows."""
    return _schema().empty_table().select(list(COLUMNS))


def _indices(places: "NDArray[np.int64]") -> "pa.Array":
    import pyarrow as pa

    return pa.array(places, pa.int64())


def merged(segments: Sequence[Segment], *, keep_gone: bool) -> "pa.Table":
    """What segments, oldest first, say together: the newest row of each sample, sorted."""
    import numpy as np
    import pyarrow as pa

    tables = [_with_gone(segment.table) for segment in segments]
    table = pa.concat_tables([_schema().empty_table(), *tables])
    if len(segments) > 1:
        # One after the other, the oldest first, as the rows of the table are.
        batches = (keys for segment in segments for keys in segment.keys)
        keys = np.concatenate([np.array([], f"S{_ID_LENGTH}"), *batches])
        # Stable, so the newest of equal keys is the last; merging sorted runs costs little.
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        last = np.ones(len(keys), np.bool_)
        last[:-1] = ordered[1:] != ordered[:-1]
        table = table.take(_indices(order[last]))
    return table if keep_gone else present(table)


def present(rows: "pa.Table") -> "pa.Table":
    """Rows without those that say a sample is gone."""
    import pyarrow.compute as pc

    return rows.filter(pc.invert(rows.column(_GONE))).select(list(COLUMNS))


def _with_gone(table: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    if _GONE in table.column_names:
        return table
    return table.append_column(_GONE, pa.repeat(False, table.num_rows))


class Segments:
    """The segment files of a store, named by the SHA-256 of the content they were written with."""

    def __init__(self, blobs: BlobStore, cache: Path | None) -> None:
        self._blobs = blobs
        self._cache = cache

    def open(self, key: str) -> Segment:
        """A segment by its key; raises `Unavailable` when its file is not there."""
        import pyarrow as pa

        data = self._mapped(key)
        return Segment(pa.ipc.open_file(data).read_all())

    def _mapped(self, key: str) -> "pa.Buffer":
        import pyarrow as pa

        cached = None if self._cache is None else self._cache / key
        if cached is not None and cached.is_file():
            return pa.memory_map(str(cached)).read_buffer()
        # While it is redacted there is one of the two, or for a moment both.
        data = self._blobs.view(key) or self._blobs.view(f"{key}{REDACTED}")
        if data is None:
            raise Unavailable(f"{key} of a snapshot is missing from the store")
        if cached is not None:
            cached.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(cached, bytes(data))
        return pa.py_buffer(data)

    def write(self, batches: "Iterable[pa.Table]") -> tuple[str, int]:
        """Write sorted rows as one segment; its key and its number of rows."""
        import pyarrow as pa

        rows = 0
        with tempfile.TemporaryFile() as file:
            with pa.ipc.new_file(file, _schema()) as writer:
                for batch in batches:
                    rows += batch.num_rows
                    writer.write_table(
                        _with_gone(batch).combine_chunks(), max_chunksize=_ROWS_OF_A_BATCH
                    )
            file.seek(0)
            data = file.read()
        key = f"{_FOLDER}/{hashlib.sha256(data).hexdigest()}.arrow"
        self._blobs.put(key, data)
        return key, rows


def change(came: "pa.Table", gone: Iterable[SampleId]) -> "pa.Table":
    """What a segment says of rows that came and of samples that are gone, sorted by sample."""
    import pyarrow as pa

    names = pa.array(list(gone), pa.string())
    away = {name: pa.repeat("", len(names)) for name in COLUMNS} | {"sample": names}
    left = pa.table(away).append_column(_GONE, pa.repeat(True, len(names)))
    return pa.concat_tables([_with_gone(came), left]).sort_by("sample")


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([*((name, pa.string()) for name in COLUMNS), (_GONE, pa.bool_())])
