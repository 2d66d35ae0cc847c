"""Rows of forgotten samples, taken out of all snapshots; each stays under its id."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.data.blobs import BlobStore, open_blobs
from everloop.data.location import Place
from everloop.data.segments import FORGOTTEN, REDACTED
from everloop.ids import SampleId

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = ".arrow"


def redact(place: Place, samples: Collection[SampleId], cache: Path | None = None) -> int:
    """Take the rows of samples out of every file of the snapshots at `place`; how many.

    A snapshot can be opened at any time meanwhile. Safe to repeat, also after it was cut short.
    `cache`: where this machine keeps copies of such files.
    """
    blobs = open_blobs(place)
    for key in [blob.key for blob in blobs.list() if blob.key.endswith(REDACTED)]:
        _finish(blobs, key.removesuffix(REDACTED))
    redacted = 0
    for key in [blob.key for blob in blobs.list() if blob.key.endswith(_ROWS)]:
        redacted += _redact(blobs, key, samples)
        if cache is not None and redacted:
            (cache / key).unlink(missing_ok=True)
    return redacted


def _redact(blobs: BlobStore, key: str, samples: Collection[SampleId]) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    data = blobs.view(key)
    if data is None:
        return 0
    rows = pa.ipc.open_file(pa.py_buffer(data)).read_all()
    hit = pc.is_in(rows.column("sample"), value_set=pa.array(sorted(samples), pa.string()))
    count = int(pc.sum(hit).as_py() or 0)
    if count:
        told = dict(rows.schema.metadata or {})
        told[FORGOTTEN] = str(int(told.get(FORGOTTEN, 0)) + count).encode()
        left = rows.filter(pc.invert(hit)).replace_schema_metadata(told)
        # Nothing is replaced in one step on every storage: the new rows go beside, the old ones
        # away, the new ones in their place.
        blobs.put(f"{key}{REDACTED}", _as_file(left))
        _finish(blobs, key)
    return count


def _finish(blobs: BlobStore, key: str) -> None:
    """Put redacted rows in the place of the old ones, where that was begun."""
    redacted = blobs.get(f"{key}{REDACTED}")
    if redacted is None:
        return
    if blobs.get(key) != redacted:
        blobs.delete([key])
        blobs.put(key, redacted)
    blobs.delete([f"{key}{REDACTED}"])


def _as_file(rows: "pa.Table") -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows.combine_chunks(), max_chunksize=65_536)
    data: bytes = sink.getvalue().to_pybytes()
    return data
