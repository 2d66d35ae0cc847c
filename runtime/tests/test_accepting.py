"""New connections are divided among the workers of one socket."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import uvloop

from everloop_runtime.accepting import Acceptor, Crowd

CLIENTS = 10


class _Worker:
    """One that takes connections and keeps them."""

    def __init__(self, listening: socket.socket, crowd: Crowd, slot: int) -> None:
        self.connections: set[asyncio.Protocol] = set()
        self.accepting = Acceptor(listening.dup(), lambda: _Kept(self), crowd, slot)


class _Kept(asyncio.Protocol):
    def __init__(self, worker: _Worker) -> None:
        self._worker = worker

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._worker.connections.add(self)
        self._worker.accepting.tell(len(self._worker.connections))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._worker.connections.discard(self)
        self._worker.accepting.tell(len(self._worker.connections))


@contextlib.asynccontextmanager
async def _clients(listening: socket.socket, count: int) -> AsyncIterator[None]:
    """So many connect at once, and all have been taken."""
    address = listening.getsockname()
    opened = await asyncio.gather(*(asyncio.open_connection(*address) for _ in range(count)))
    try:
        yield
    finally:
        for _, writer in opened:
            writer.close()


async def _until(workers: list[_Worker], count: int) -> None:
    while sum(len(worker.connections) for worker in workers) != count:
        await asyncio.sleep(0.005)


def _socket() -> socket.socket:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    return listening


def test_clients_that_come_at_once_are_divided_evenly() -> None:
    async def check() -> list[list[int]]:
        with _socket() as listening:
            crowd, seen = Crowd(2), []
            workers = [_Worker(listening, crowd, slot) for slot in range(2)]
            for _ in range(3):
                async with _clients(listening, CLIENTS):
                    await _until(workers, CLIENTS)
                    seen.append([len(worker.connections) for worker in workers])
                await _until(workers, 0)
            for worker in workers:
                worker.accepting.close()
            return seen

    for one, other in uvloop.run(asyncio.wait_for(check(), 60)):
        assert abs(one - other) <= 2


def test_a_worker_that_takes_nothing_keeps_nobody_waiting() -> None:
    async def check() -> int:
        with _socket() as listening:
            crowd = Crowd(2)
            worker = _Worker(listening, crowd, 0)
            crowd.tell(1, 0)
            async with _clients(listening, CLIENTS):
                await _until([worker], CLIENTS)
                return len(worker.connections)

    assert uvloop.run(asyncio.wait_for(check(), 60)) == CLIENTS


def test_one_that_has_left_is_not_waited_for() -> None:
    crowd = Crowd(2)
    crowd.tell(0, 5)
    assert not crowd.is_fuller(0)
    crowd.tell(1, 4)
    assert crowd.is_fuller(0)
    crowd.leave(1)
    assert not crowd.is_fuller(0)
