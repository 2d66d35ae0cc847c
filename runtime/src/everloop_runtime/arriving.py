"""Requests as they arrive: a parser in C, and bounds on what a request may be.

A client sends the same head again and again. Once a head has come twice on a connection, a request
that begins with the same bytes, but for the body's length, and is there in one piece is not parsed
again: the same bytes mean the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import httptools

from everloop_runtime.head import Answering, Application, Head, Request
from everloop_runtime.problems import Problem

_SMALL_PIECE, _MANY_PIECES = 64, 4096
_LENGTH, _END = b"\r\ncontent-length: ", b"\r\n\r\n"
_DIGITS = 12
"""Of the body's length in a request that is not parsed again."""
_LONGEST_KNOWN = 4096
"""Bytes of a head that is remembered."""


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


class Taker(Answering, Protocol):
    """Who takes the requests."""

    def take(self, request: Request, *, keep: bool) -> None:
        """A whole request; `keep`: another may follow."""
        ...

    def expected(self) -> None:
        """The client waits to be told to send the body."""
        ...

    def refuse(self, problem: Problem) -> None:
        """What arrives is refused, and nothing that follows it is wanted."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    """A head that came again: what is around the digits of the body's length, and what it meant."""

    before: bytes
    after: bytes
    head: Head
    most: int
    epoch: int


class Arriving:
    """The requests of one connection."""

    def __init__(
        self,
        taker: Taker,
        application: Application,
        limits: WireLimits,
        peer: str,
        clock: Callable[[], float],
    ) -> None:
        """`clock`: the time in seconds, as coarse as suits the limits."""
        self._taker, self._application = taker, application
        self._limits, self._peer, self._clock = limits, peer, clock
        self._parser = httptools.HttpRequestParser(self)
        self.since: float | None = None
        """When the request that is not whole yet began to arrive."""
        self.got = 0
        """Bytes of its body."""
        self._is_over = False
        self._head: Head | None = None
        self._pieces: list[bytes] = []
        self._url = b""
        self._head_bytes = self._headers = self._most = self._requests = 0
        self._length: bytes | None = None
        self._keeps = True
        self._known: _Known | None = None
        self._last = (b"", b"")

    @property
    def head(self) -> Head:
        """Of the request that arrives, as far as it is known."""
        return self._head or Head(b"", self._peer)

    def feed(self, data: bytes) -> None:
        """What has arrived."""
        known = self._known
        if known is not None and self.since is None and data.startswith(known.before):
            at = len(known.before)
            end = data.find(b"\r", at, at + _DIGITS)
            if end > at and data.startswith(known.after, end) and self._again(known, data, at, end):
                return
        self._parse(data)

    def _again(self, known: _Known, data: bytes, at: int, end: int) -> bool:
        """Whether this was a whole request with a known head and a length that is in it."""
        digits, body = data[at:end], data[end + len(known.after) :]
        if not digits.isdigit() or int(digits) != len(body) or len(body) > known.most:
            return False
        if known.epoch != self._application.epoch:
            return False
        self._taker.take(Request(self._taker, known.head, body), keep=True)
        return True

    def _parse(self, data: bytes) -> None:
        begins, before = self.since is None, self._requests
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # No other protocol is spoken here, and what follows is in none that is understood.
            self._is_over = True
        except httptools.HttpParserError:
            self._refuse(Problem(400, "this is not an HTTP/1.1 request", "send it anew"))
        if begins and self.since is None and self._requests == before + 1:
            self._learn(data)

    def _learn(self, data: bytes) -> None:
        """Remember the head of the one request that `data` was, if it came the second time."""
        length, size = self._length, len(data) - self.got
        if self._head is None or length is None or not self._keeps or size > _LONGEST_KNOWN:
            return
        # Nothing before the head's end looks like it, and nothing follows the body.
        if data.find(_END) != size - len(_END) or int(length) != self.got:
            return
        found = data[:size].lower().find(_LENGTH)
        at = found + len(_LENGTH)
        end = at + len(length)
        if found < 0 or data[at:end] != length:
            return
        halves = (data[:at], data[end:size])
        if halves == self._last:
            self._known = _Known(*halves, self._head, self._most, self._application.epoch)
        self._last = halves

    def _refuse(self, problem: Problem) -> None:
        if not self._is_over:
            self._is_over = True
            self._taker.refuse(problem)

    # From the parser.

    def on_message_begin(self) -> None:
        self.since = self._clock()
        self._url, self._head_bytes, self._headers, self.got = b"", 0, 0, 0
        self._head, self._pieces = None, []

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))
        self._head = Head(self._url, self._peer)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._count_head(len(name) + len(value))
        if self._head is not None:
            name = name.lower()
            if name == b"host" and name in self._head.headers:
                self._refuse(Problem(400, "the request names two hosts", "send one Host header"))
            self._head.headers[name] = value

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._limits.head_bytes or self._headers > self._limits.headers:
            told = f"the request's head is larger than {self._limits.head_bytes} bytes"
            self._refuse(Problem(431, told, "send fewer and shorter headers"))

    def on_headers_complete(self) -> None:
        head = self._head
        if self._is_over or head is None:
            return
        head.method = self._parser.get_method().decode("ascii")
        self._length = head.headers.pop(b"content-length", None)
        admitted = self._application.admit(head)
        if isinstance(admitted, Problem):
            self._refuse(admitted)
            return
        self._most = admitted
        declared = b"0" if self._length is None else self._length
        if not declared.isdigit() or len(declared) > 18 or int(declared) > admitted:
            self._refuse(self._too_large())
        elif b"expect" in head.headers:
            self._taker.expected()

    def on_body(self, body: bytes) -> None:
        if self._is_over:
            return
        self.got += len(body)
        self._pieces.append(body)
        many = len(self._pieces) > _MANY_PIECES
        if self.got > self._most:
            self._refuse(self._too_large())
        elif many and self.got < _SMALL_PIECE * len(self._pieces):
            told = f"the body comes in {len(self._pieces)} pieces of {_SMALL_PIECE} bytes or less"
            self._refuse(Problem(413, told, "send it in larger pieces"))

    def _too_large(self) -> Problem:
        told = f"the body is larger than {self._most} bytes"
        return Problem(413, told, "send a smaller picture, or fewer in one request")

    def on_message_complete(self) -> None:
        self.since = None
        if self._is_over or self._head is None:
            return
        self._requests += 1
        pieces, self._pieces = self._pieces, []
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._keeps = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        self._taker.take(Request(self._taker, self._head, body), keep=self._keeps)
