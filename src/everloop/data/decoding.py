"""Pictures decoded and examined in processes that may die without hurting who asked.

A pool feeds one process a core. Pictures travel through shared memory, a batch at a time; a
message says only where they lie. A process that hangs is ended by its own alarm, one that
crashes is replaced; the picture it had in hand is tried again alone, and after
`DecodingLimits.tries` is `poison`. The rest of the batch is done again without it.
"""

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Generic, TypeVar

from everloop.data.decoding_process import WORKER, usable_cores
from everloop.data.decoding_pump import Batch, Pump
from everloop.data.examined import Bad, DecodingLimits, Examined

K = TypeVar("K")

_BACKLOG = 8
"""Batches that may wait for the caller, beyond those being decoded."""
_MOST_ROWS, _MOST_BYTES = 128, 4_000_000
_END = object()


class Decoders(Generic[K]):
    """A pool for one pass; a context manager that ends its processes.

    `key` is whatever the caller wants back with each picture.
    """

    def __init__(
        self,
        limits: DecodingLimits,
        *,
        workers: int | None = None,
        command: Sequence[str] = WORKER,
    ) -> None:
        """`workers`: how many processes at most, one a usable core unless said."""
        self._limits = limits
        self._pump = Pump(limits, workers or usable_cores(), command)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Decoders[K]":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self._pump.close()

    def examine(
        self, items: Iterable[tuple[K, bytes]]
    ) -> Iterator[tuple[K, bytes, Examined | Bad]]:
        """Each picture with what was found, in the order given.

        `items` is drawn on a thread of the pool's own, ahead of the caller by a bounded number
        of pictures and bytes; what it raises is raised here.
        """
        done: queue.Queue[object] = queue.Queue(_BACKLOG)
        self._thread = threading.Thread(target=self._run, args=(items, done), daemon=True)
        self._thread.start()
        while (batch := done.get()) is not _END:
            if isinstance(batch, BaseException):
                raise batch
            assert isinstance(batch, Batch)  # noqa: S101 - the only third thing that is put
            for key, data, found in zip(batch.keys, batch.data, batch.found, strict=True):
                assert found is not None  # noqa: S101 - the pump hands on finished batches only
                yield key, data, found

    def _run(self, items: Iterable[tuple[K, bytes]], done: "queue.Queue[object]") -> None:
        try:
            for batch in self._pump.run(_batches(items), self._stopped):
                self._put(done, batch)
            self._put(done, _END)
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            self._put(done, error)

    def _put(self, done: "queue.Queue[object]", what: object) -> None:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                done.put(what, timeout=0.1)
                return


def _batches(items: Iterable[tuple[K, bytes]]) -> Iterator[Batch]:
    batch, size = Batch(), 0
    for key, data in items:
        if batch.keys and (len(batch.keys) >= _MOST_ROWS or size + len(data) > _MOST_BYTES):
            yield batch
            batch, size = Batch(), 0
        batch.keys.append(key)
        batch.data.append(data)
        size += len(data)
    if batch.keys:
        yield batch
