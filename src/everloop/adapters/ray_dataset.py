"""A snapshot as a Ray Data source: each task reads its own rows from the store."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from everloop.data.reading import SnapshotReader
from everloop.data.tabular import batch_of
from everloop.errors import Refused

if TYPE_CHECKING:
    import pyarrow as pa
    import ray.data

_ROWS = 512
"""Read at once by a task, so that a task's memory is bounded."""


def ray_dataset(reader: SnapshotReader, *, tasks: int = -1) -> "ray.data.Dataset":
    """`sample`, `side`, `label`, `annotation`, `by`, `origin` and the original bytes as `data`.

    `tasks`: how many tasks read; -1 leaves it to Ray. The workers must reach the store as this
    process does. Raises `Refused` where Ray is not installed.
    """
    try:
        from ray.data import read_datasource
        from ray.data.block import BlockMetadata
        from ray.data.datasource import Datasource, ReadTask
    except ImportError as error:
        raise Refused("a Ray data set wants Ray: pip install 'everloop[ray]'") from error

    class Source(Datasource):  # type: ignore[misc,unused-ignore]
        def get_name(self) -> str:
            return "Everloop"

        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[Any]:
            count = len(reader)
            share = max(1, -(-count // max(1, parallelism)))
            return [_task(start, min(start + share, count)) for start in range(0, count, share)]

    def _task(start: int, end: int) -> Any:
        told = BlockMetadata(
            num_rows=end - start, size_bytes=None, exec_stats=None, input_files=None
        )
        return ReadTask(lambda: _tables(reader, start, end), told)

    source: Any = Source
    dataset: ray.data.Dataset = read_datasource(
        source(), override_num_blocks=None if tasks < 0 else tasks
    )
    return dataset


def _tables(reader: SnapshotReader, start: int, end: int) -> "Iterable[pa.Table]":
    import pyarrow as pa

    for first in range(start, end, _ROWS):
        numbers = list(range(first, min(first + _ROWS, end)))
        yield pa.Table.from_batches([batch_of(reader, numbers, reader.read(numbers))])
