"""A table read from a file."""

from pathlib import Path
from typing import TYPE_CHECKING

from everloop.errors import Refused

if TYPE_CHECKING:
    import pyarrow as pa

_PARQUET = (".parquet", ".pq")


def read_table(file: Path) -> "pa.Table":
    """A CSV file (also `.csv.gz`) or a Parquet file; `Refused` with the reason otherwise."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        if file.suffix in _PARQUET:
            return parquet.read_table(file)
        return csv.read_csv(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise Refused(f"{file} is no table that can be read (CSV, Parquet): {error}") from error
