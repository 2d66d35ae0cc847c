"""A snapshot as an Arrow stream or a Polars frame."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from everloop.data.reading import Example, Order, SnapshotReader
from everloop.errors import Refused

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

_BATCH = 1024


def arrow_stream(
    reader: SnapshotReader, *, size: int = _BATCH, order: Order = "sample"
) -> "pa.RecordBatchReader":
    """`sample`, `side`, `label`, `annotation`, `by`, `origin` and the original bytes as `data`.

    Holds a few batches of `size` rows at a time; without the bytes, `reader.rows` is a whole table.
    """
    import pyarrow as pa

    batches = (batch_of(reader, *part) for part in reader.numbered(size, order))
    return pa.RecordBatchReader.from_batches(_schema(reader), batches)


def batch_of(
    reader: SnapshotReader, numbers: Sequence[int], examples: Sequence[Example]
) -> "pa.RecordBatch":
    """Rows by number, with the bytes of their examples as `data`."""
    import pyarrow as pa

    rows = reader.rows.take(list(numbers))
    columns = [rows.column(name).combine_chunks() for name in rows.column_names]
    data = pa.array([example.data for example in examples], pa.large_binary())
    return pa.RecordBatch.from_arrays([*columns, data], schema=_schema(reader))


def _schema(reader: SnapshotReader) -> "pa.Schema":
    import pyarrow as pa

    return reader.rows.schema.append(pa.field("data", pa.large_binary()))


def polars_frame(reader: SnapshotReader) -> "pl.DataFrame":
    """`sample`, `side`, `label`, `annotation`, `by`, `origin`, one row a sample.

    Raises `Refused` where Polars is not installed.
    """
    try:
        import polars as pl
    except ImportError as error:
        raise Refused("a Polars frame wants Polars: pip install 'everloop[polars]'") from error
    frame = pl.from_arrow(reader.rows)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table gives a frame
    return frame
