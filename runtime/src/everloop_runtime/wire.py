"""HTTP/1.1 on the wire: one object a connection, and limits that slow clients meet.

Written for this service because it costs a fraction of the processor time a request that a bare
ASGI callable under uvicorn or Granian costs (`docs/decisions/serving.md`), and because those
have no limit on how slowly a request may arrive.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

from everloop_runtime.arriving import Arriving, WireLimits
from everloop_runtime.head import JSON, Application, Request
from everloop_runtime.problems import Problem

_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_OK = 200
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NOSNIFF = b"x-content-type-options: nosniff\r\n"
_PIPELINED = 8


@dataclass(slots=True)
class Shared:
    """What all connections of a process share."""

    application: Application
    limits: WireLimits
    connections: "set[Connection]" = field(default_factory=set)
    counted: Callable[[int], None] = lambda _count: None
    """Told how many connections there are, whenever that changes."""
    draining: bool = False
    """Every answer from now on ends its connection."""
    now: float = 0.0
    """The event loop's time, a quarter of a second coarse."""
    date: bytes = b""
    """The line of an answer's head."""
    usual: bytes = b""
    """The head of a usual answer, up to the number of its body's bytes."""

    def tell_time(self, now: float, stamp: str) -> None:
        """The loop's time, and the wall's as HTTP writes it."""
        self.now = now
        self.date = f"date: {stamp}\r\n".encode()
        kind = b"content-type: %b\r\n" % JSON
        self.usual = b"".join((_LINES[_OK], self.date, kind, _NOSNIFF, b"content-length: "))

    def clock(self) -> float:
        """`now`."""
        return self.now


class Connection(asyncio.Protocol):
    """One client's connection: requests in their order, one answered at a time."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._arriving: Arriving = cast("Arriving", None)
        self._answering: Request | None = None
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._idle_since = self._stalled_since = shared.now
        self._stalled = self._closing = self._ended = False
        self._keep = True
        self._served = 0

    # From the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = str((transport.get_extra_info("peername") or ("local",))[0])
        shared = self._shared
        self._arriving = Arriving(self, shared.application, shared.limits, peer, shared.clock)
        if len(shared.connections) >= shared.limits.connections:
            transport.close()
            return
        shared.connections.add(self)
        shared.counted(len(shared.connections))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._closing = True
        self._shared.connections.discard(self)
        self._shared.counted(len(self._shared.connections))

    def eof_received(self) -> bool:
        # A client may close its side and still wait for what it asked.
        self._ended = True
        return self._answering is not None

    def pause_writing(self) -> None:
        self._stalled, self._stalled_since = True, self._shared.now
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._stalled = False
        if not self._closing:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if not self._closing:
            self._arriving.feed(data)

    # From what arrives.

    def take(self, request: Request, *, keep: bool) -> None:
        """Have a request answered, after those that came before it."""
        if self._answering is None:
            self._begin(request, keep)
            return
        self._waiting.append((request, keep))
        if len(self._waiting) >= _PIPELINED:
            self._transport.pause_reading()

    def expected(self) -> None:
        """Tell the client to send the body."""
        if self._answering is None:
            self._transport.write(_CONTINUE)

    def refuse(self, problem: Problem) -> None:
        """Answer before the request is whole, then hear its rest out for a moment and hang up."""
        if self._closing:
            return
        self._closing, self._keep = True, False
        self._shared.application.refused(self._arriving.head, problem)
        if self._answering is None:
            body = problem.body()
            head = self._head(problem.status, JSON, len(body))
            more = problem.header_lines() + b"connection: close\r\n\r\n"
            self._transport.write(b"".join((*head, more, body)))
            # Hanging up with bytes unread would reset the connection and lose the refusal.
            if self._transport.can_write_eof():
                self._transport.write_eof()
        loop = asyncio.get_running_loop()
        loop.call_later(self._shared.limits.linger_seconds, self._transport.close)

    # Answering.

    def _begin(self, request: Request, keep: bool) -> None:
        self._answering, self._keep = request, keep and self._keep
        self._shared.application.answer(request)

    def answer(
        self, request: Request, status: int, body: bytes, headers: bytes, content_type: bytes
    ) -> None:
        """Send the answer to the request in turn; a client that is gone is no error."""
        if request is not self._answering:
            return
        self._answering = None
        self._served += 1
        is_last = self._ended or self._shared.draining
        keep = self._keep and (bool(self._waiting) or not is_last)
        if self._transport.is_closing():
            return
        if keep and status == _OK and content_type is JSON and request.head.method != "HEAD":
            usual = self._shared.usual
            self._transport.write(b"%b%d\r\n%b\r\n%b" % (usual, len(body), headers, body))
        else:
            more = headers if keep else headers + b"connection: close\r\n"
            shown = b"" if request.head.method == "HEAD" else body
            head = self._head(status, content_type, len(body))
            self._transport.write(b"".join((*head, more, b"\r\n", shown)))
        if not keep:
            self._closing = True
            self._transport.close()
            return
        self._idle_since = self._shared.now
        if self._waiting:
            following, keeping = self._waiting.popleft()
            if len(self._waiting) == _PIPELINED - 1 and not self._stalled:
                self._transport.resume_reading()
            self._begin(following, keeping)

    def _head(self, status: int, kind: bytes, size: int) -> tuple[bytes, ...]:
        lines = b"content-type: %b\r\n%bcontent-length: %d\r\n" % (kind, _NOSNIFF, size)
        return (_LINES[status], self._shared.date, lines)

    # From the server.

    @property
    def busy(self) -> bool:
        """Whether a request is arriving or being answered."""
        return self._answering is not None or self._arriving.since is not None

    def sweep(self, now: float) -> None:
        """Hang up on a client that is too slow."""
        limits, arriving = self._shared.limits, self._arriving
        if self._stalled and now - self._stalled_since > limits.stalled_seconds:
            self._transport.abort()
        elif self._closing or self._answering is not None:
            return
        elif (since := arriving.since) is not None:
            allowed = limits.arrival_seconds + arriving.got / limits.bytes_per_second
            if now - since > allowed:
                told = f"the request did not arrive within {allowed:.0f} s"
                self.refuse(Problem(408, told, "send it faster"))
        else:
            # Who has never asked anything has less credit.
            most = limits.idle_seconds if self._served else limits.arrival_seconds
            if now - self._idle_since > most:
                self.hang_up()

    def hang_up(self) -> None:
        """Close a connection that waits for its next request."""
        if not self.busy:
            self._closing = True
            self._transport.close()
