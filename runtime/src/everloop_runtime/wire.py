"""HTTP/1.1 on the wire: a parser in C, one object a connection, and limits that slow clients meet.

Written for this service because it costs 8 microseconds of processor time a request where a bare
ASGI callable under uvicorn costs 49 and Granian 41 (`docs/decisions/http.md`), and because those
have no limit on how slowly a request may arrive.
"""

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, cast

import httptools

from everloop_runtime.problems import Problem

_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_JSON = b"application/json"
_PIPELINED = 8
_SMALL_PIECE, _MANY_PIECES = 64, 4096


@dataclass(frozen=True, slots=True)
class WireLimits:
    """What a connection may cost."""

    head_bytes: int = 32_768
    """Of one request's head, the address included."""
    headers: int = 100
    arrival_seconds: float = 6.0
    """How long a request may take to arrive, apart from what `bytes_per_second` allows it."""
    bytes_per_second: int = 20_000
    """A body that comes at this rate or faster is never cut off."""
    idle_seconds: float = 75.0
    """How long a connection may wait for its next request."""
    stalled_seconds: float = 10.0
    """How long a client may leave an answer unread."""
    connections: int = 4096
    linger_seconds: float = 2.0
    """How long a refused body is read on and thrown away, so that the refusal is seen."""


class Request:
    """One request, whole when the application gets it; answered once."""

    __slots__ = (
        "_connection",
        "began",
        "body",
        "client",
        "headers",
        "method",
        "path",
        "query",
        "when_answered",
    )

    def __init__(self, connection: "Connection", url: bytes) -> None:
        self._connection = connection
        self.method = ""
        path, _, query = url.partition(b"?")
        self.path = path.decode("latin-1")
        """As it was sent: nothing in it is unescaped."""
        self.query = query.decode("latin-1")
        self.headers: dict[bytes, bytes] = {}
        """Names in lower case; of a repeated one the last."""
        self.body = b""
        self.began = 0.0
        """When it was whole, on `time.perf_counter`."""
        self.when_answered: Callable[[int], None] | None = None
        """Told the status once it is answered."""
        self.client = ""
        """Who asks, once the application has found out."""

    @property
    def peer(self) -> str:
        """The address it came from."""
        return self._connection.peer

    def answer(
        self, status: int, body: bytes, headers: bytes = b"", content_type: bytes = _JSON
    ) -> None:
        """Send the answer. `headers`: further ones, each with its line end."""
        if self.when_answered is not None:
            self.when_answered(status)
        self._connection.answer(self, status, body, headers, content_type)

    def refuse(self, problem: Problem) -> None:
        """Send a problem as the answer."""
        self.answer(problem.status, problem.body(), problem.header_lines())


class Application(Protocol):
    """What answers requests."""

    def admit(self, request: Request) -> "int | Problem":
        """At the end of the head: how many bytes the body may have, or why it is refused."""
        ...

    def answer(self, request: Request) -> None:
        """Have a whole request answered, now or later; raises nothing."""
        ...


class Connection(asyncio.Protocol):
    """One client's connection: requests in their order, one answered at a time."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._application = server.application
        self._limits = server.limits
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._parser = httptools.HttpRequestParser(self)
        self._request: Request | None = None
        self._answering: Request | None = None
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._pieces: list[bytes] = []
        self._url = b""
        self._head = self._headers = self._got = self._most = 0
        self._receiving_since: float | None = None
        self._idle_since = self._stalled_since = server.now
        self._stalled = self._closing = self._ended = False
        self._keep = True
        self._served = 0
        self.peer = ""

    # From the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.peer = str((transport.get_extra_info("peername") or ("local",))[0])
        if len(self._server.connections) >= self._limits.connections:
            transport.close()
            return
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._closing = True
        self._server.connections.discard(self)

    def eof_received(self) -> bool:
        # A client may close its side and still wait for what it asked.
        self._ended = True
        return self._answering is not None

    def pause_writing(self) -> None:
        self._stalled, self._stalled_since = True, self._server.now
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._stalled = False
        if not self._closing:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # No other protocol is spoken here: the request stands, the connection ends.
            self._keep = False
        except httptools.HttpParserError:
            if not self._closing:
                self.refuse(Problem(400, "this is not an HTTP/1.1 request", "send it anew"))

    # From the parser.

    def on_message_begin(self) -> None:
        self._receiving_since = self._server.now
        self._url, self._head, self._headers, self._got = b"", 0, 0, 0
        self._request, self._pieces = None, []

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))
        self._request = Request(self, self._url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._count_head(len(name) + len(value))
        if self._request is not None:
            name = name.lower()
            if name == b"host" and name in self._request.headers:
                self.refuse(Problem(400, "the request names two hosts", "send one Host header"))
            self._request.headers[name] = value

    def _count_head(self, size: int) -> None:
        self._head += size
        if self._head > self._limits.head_bytes or self._headers > self._limits.headers:
            told = f"the request's head is larger than {self._limits.head_bytes} bytes"
            self.refuse(Problem(431, told, "send fewer and shorter headers"))

    def on_headers_complete(self) -> None:
        request = self._request
        if self._closing or request is None:
            return
        request.method = self._parser.get_method().decode("ascii")
        admitted = self._application.admit(request)
        if isinstance(admitted, Problem):
            self.refuse(admitted)
            return
        self._most = admitted
        declared = request.headers.get(b"content-length", b"0")
        if not declared.isdigit() or len(declared) > 18 or int(declared) > admitted:
            self.refuse(self._too_large())
        elif b"expect" in request.headers and not self._answering:
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        if self._closing:
            return
        self._got += len(body)
        self._pieces.append(body)
        many = len(self._pieces) > _MANY_PIECES
        if self._got > self._most:
            self.refuse(self._too_large())
        elif many and self._got < _SMALL_PIECE * len(self._pieces):
            told = f"the body comes in {len(self._pieces)} pieces of {_SMALL_PIECE} bytes or less"
            self.refuse(Problem(413, told, "send it in larger pieces"))

    def on_message_complete(self) -> None:
        request, self._request = self._request, None
        self._receiving_since = None
        if self._closing or request is None:
            return
        pieces = self._pieces
        request.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        keep = self._parser.should_keep_alive()
        if self._answering is None:
            self._begin(request, keep)
            return
        self._waiting.append((request, keep))
        if len(self._waiting) >= _PIPELINED:
            self._transport.pause_reading()

    # Answering.

    def _too_large(self) -> Problem:
        told = f"the body is larger than {self._most} bytes"
        return Problem(413, told, "send a smaller picture, or fewer in one request")

    def _begin(self, request: Request, keep: bool) -> None:
        self._answering, self._keep = request, keep and self._keep
        request.began = time.perf_counter()
        self._application.answer(request)

    def answer(
        self, request: Request, status: int, body: bytes, headers: bytes, content_type: bytes
    ) -> None:
        """Send the answer to the request in turn; a client that is gone is no error."""
        if request is not self._answering:
            return
        self._answering = None
        self._served += 1
        is_last = self._ended or self._server.draining
        keep = self._keep and (bool(self._waiting) or not is_last)
        last = b"" if keep else b"connection: close\r\n"
        length = b"content-length: %d\r\n" % len(body)
        parts = (
            _LINES[status],
            self._server.date,
            b"content-type: ",
            content_type,
            b"\r\nx-content-type-options: nosniff\r\n",
            length,
            headers,
            last,
            b"\r\n",
            b"" if request.method == "HEAD" else body,
        )
        if self._transport.is_closing():
            return
        self._transport.write(b"".join(parts))
        if not keep:
            self._closing = True
            self._transport.close()
            return
        self._idle_since = self._server.now
        if self._waiting:
            following, keeping = self._waiting.popleft()
            if len(self._waiting) == _PIPELINED - 1 and not self._stalled:
                self._transport.resume_reading()
            self._begin(following, keeping)

    def refuse(self, problem: Problem) -> None:
        """Answer before the request is whole, then hear its rest out for a moment and hang up."""
        if self._closing:
            return
        self._closing, self._keep = True, False
        self._server.refused(problem.status)
        if self._answering is None:
            body = problem.body()
            head = b"content-type: application/json\r\nx-content-type-options: nosniff\r\n"
            length = b"content-length: %d\r\nconnection: close\r\n" % len(body)
            lines = (_LINES[problem.status], self._server.date, head, length)
            self._transport.write(b"".join((*lines, problem.header_lines(), b"\r\n", body)))
            # Hanging up with bytes unread would reset the connection and lose the refusal.
            if self._transport.can_write_eof():
                self._transport.write_eof()
        self._server.later(self._limits.linger_seconds, self._transport.close)

    # From the server.

    @property
    def busy(self) -> bool:
        """Whether a request is arriving or being answered."""
        return self._answering is not None or self._receiving_since is not None

    def sweep(self, now: float) -> None:
        """Hang up on a client that is too slow."""
        limits = self._limits
        if self._stalled and now - self._stalled_since > limits.stalled_seconds:
            self._transport.abort()
        elif self._closing or self._answering is not None:
            return
        elif (since := self._receiving_since) is not None:
            allowed = limits.arrival_seconds + self._got / limits.bytes_per_second
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


class Server:
    """All connections of one process."""

    def __init__(self, application: Application, limits: WireLimits | None = None) -> None:
        self.application = application
        self.limits = limits or WireLimits()
        self.connections: set[Connection] = set()
        self.draining = False
        """Every answer from now on ends its connection."""
        self.now = 0.0
        """The event loop's time, a quarter of a second coarse."""
        self.date = b""
        self.refusals: dict[int, int] = {}
        """Requests refused before they were whole, by status."""
        self._listening: asyncio.Server | None = None
        self._ticking: asyncio.TimerHandle | None = None

    async def start(self, listening: socket.socket) -> None:
        """Accept connections on a socket that is bound."""
        self._tick()
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(
            lambda: Connection(self), sock=listening, backlog=2048
        )

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Call something after a while."""
        asyncio.get_running_loop().call_later(seconds, what)

    def refused(self, status: int) -> None:
        """Count a request that was refused before it was whole."""
        self.refusals[status] = self.refusals.get(status, 0) + 1

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        stamp = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        self.date = f"date: {stamp}\r\n".encode()
        for connection in list(self.connections):
            connection.sweep(self.now)
        self._ticking = loop.call_later(0.25, self._tick)

    async def drain(self, seconds: float, grace: float = 0.3) -> None:
        """Take no new connections, answer what is under way, end when all are gone.

        `grace`: how long a connection that waits may still bring a request that was on its way.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        self.draining = True
        waited = loop.time() + grace
        while self.connections and loop.time() < waited:
            await asyncio.sleep(0.02)
        if self._listening is not None:
            self._listening.close()
        while self.connections and loop.time() < end:
            for connection in list(self.connections):
                connection.hang_up()
            await asyncio.sleep(0.02)
        if self._ticking is not None:
            self._ticking.cancel()
