"""Taking new connections, so that workers on one socket have about as many each.

Left to the system, the worker that wakes first takes all that come at once: eight clients of a slow
model would wait for one worker while the other is idle.
"""

import asyncio
import mmap
import socket
import ssl
from collections.abc import Callable

_BACKLOG = 2048
_TURN = 0.002
"""Seconds that a worker leaves a connection to one with fewer, before it takes it after all."""
_SHORT = 0.1
"""Seconds before another try when the system has no handle left."""
_HANDSHAKE = 6.0
"""Seconds for TLS to be agreed on."""
_NOBODY = 2**32 - 1


class Crowd:
    """How many connections each worker of a service has, in memory that all of them share."""

    def __init__(self, workers: int) -> None:
        """To be made before the workers are forked."""
        self._counts = memoryview(mmap.mmap(-1, 4 * workers)).cast("I")
        for slot in range(workers):
            self.leave(slot)

    def tell(self, slot: int, count: int) -> None:
        """A worker has so many."""
        self._counts[slot] = count

    def leave(self, slot: int) -> None:
        """A worker takes none: nobody waits for it."""
        self._counts[slot] = _NOBODY

    def is_fuller(self, slot: int) -> bool:
        """Whether another worker has fewer than this one."""
        return min(self._counts) < self._counts[slot]


class Acceptor:
    """Takes connections of one socket, one at a time."""

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        crowd: Crowd,
        slot: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`tls`: every connection speaks it then; one that does not within moments is closed."""
        self._listening, self._protocol, self._tls = listening, protocol, tls
        self._crowd, self._slot = crowd, slot
        self._loop = asyncio.get_running_loop()
        self._coming: set[asyncio.Task[None]] = set()
        self._known = 0
        self._left_at = float("-inf")
        self._pausing: asyncio.TimerHandle | None = None
        self._closed = False
        listening.listen(_BACKLOG)
        listening.setblocking(False)
        self.tell(0)
        self._loop.add_reader(listening, self._take)

    def tell(self, count: int) -> None:
        """So many connections are open, those just taken left out."""
        self._known = count
        if not self._closed:
            self._crowd.tell(self._slot, count + len(self._coming))

    def close(self) -> None:
        """Take no more, and leave the socket to the other workers."""
        self._closed = True
        self._crowd.leave(self._slot)
        self._loop.remove_reader(self._listening)
        if self._pausing is not None:
            self._pausing.cancel()
        self._listening.close()

    def _take(self) -> None:
        if self._crowd.is_fuller(self._slot) and self._loop.time() - self._left_at > _TURN / 2:
            self._pause(_TURN)
            return
        self._left_at = float("-inf")
        try:
            accepted, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            self._pause(_SHORT)
            return
        accepted.setblocking(False)
        task = self._loop.create_task(self._connect(accepted))
        self._coming.add(task)
        task.add_done_callback(self._connected)
        self.tell(self._known)

    async def _connect(self, accepted: socket.socket) -> None:
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            patience = None if self._tls is None else _HANDSHAKE
            await self._loop.connect_accepted_socket(
                self._protocol, accepted, ssl=self._tls, ssl_handshake_timeout=patience
            )
        except OSError:
            accepted.close()  # The client has gone already.

    def _connected(self, task: "asyncio.Task[None]") -> None:
        self._coming.discard(task)
        self.tell(self._known)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening)
        self._pausing = self._loop.call_later(seconds, self._look_again)

    def _look_again(self) -> None:
        self._left_at = self._loop.time()
        self._loop.add_reader(self._listening, self._take)
