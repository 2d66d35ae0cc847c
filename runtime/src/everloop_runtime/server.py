"""The connections of one process: accepted, watched for slowness, drained."""

import asyncio
import socket
import ssl
import time

from everloop_runtime.accepting import Acceptor, Crowd
from everloop_runtime.arriving import WireLimits
from everloop_runtime.head import Application
from everloop_runtime.wire import Connection, Shared


class Server:
    """All connections of one process."""

    def __init__(self, application: Application, limits: WireLimits | None = None) -> None:
        self.shared = Shared(application, limits or WireLimits())
        self._accepting: Acceptor | None = None
        self._ticking: asyncio.TimerHandle | None = None

    def start(
        self,
        listening: socket.socket,
        crowd: Crowd | None = None,
        slot: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Accept connections on a socket that is bound, a fair part of those of a crowd."""
        self._tick()
        taking = Acceptor(listening, lambda: Connection(self.shared), crowd or Crowd(1), slot, tls)
        self.shared.counted = taking.tell
        self._accepting = taking

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now, stamp = loop.time(), time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        self.shared.tell_time(now, stamp)
        for connection in list(self.shared.connections):
            connection.sweep(now)
        self._ticking = loop.call_later(0.25, self._tick)

    async def drain(self, seconds: float, grace: float = 0.3) -> None:
        """Take no new connections, answer what is under way, end when all are gone.

        `grace`: how long a connection that waits may still bring a request that was on its way.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        self.shared.draining = True
        waited = loop.time() + grace
        while self.shared.connections and loop.time() < waited:
            await asyncio.sleep(0.02)
        if self._accepting is not None:
            self._accepting.close()
        while self.shared.connections and loop.time() < end:
            for connection in list(self.shared.connections):
                connection.hang_up()
            await asyncio.sleep(0.02)
        if self._ticking is not None:
            self._ticking.cancel()
