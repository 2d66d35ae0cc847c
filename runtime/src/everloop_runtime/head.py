"""A request as the application gets it: its head first, then the whole of it."""

from collections.abc import Callable
from typing import Any, Protocol

from everloop_runtime.problems import Problem

JSON = b"application/json"


class Head:
    """What comes before a request's body. Requests of one connection may share it."""

    __slots__ = ("client", "headers", "method", "path", "peer", "query", "route")

    def __init__(self, url: bytes, peer: str) -> None:
        self.method = ""
        path, _, query = url.partition(b"?")
        self.path = path.decode("latin-1")
        """As it was sent: nothing in it is unescaped."""
        self.query = query.decode("latin-1")
        """What follows the question mark, as it was sent."""
        self.headers: dict[bytes, bytes] = {}
        """Names in lower case; of a repeated one the last. The body's length is not among them."""
        self.peer = peer
        """The address it came from."""
        self.client = ""
        """Who asks, once the application has found out."""
        self.route: Any = None
        """What the application remembers of it, from when it was admitted."""


class Answering(Protocol):
    """What a request came over."""

    def answer(
        self, request: "Request", status: int, body: bytes, headers: bytes, content_type: bytes
    ) -> None:
        """Send the answer."""
        ...


class Request:
    """One whole request; answered once."""

    __slots__ = ("_connection", "body", "head", "when_answered")

    def __init__(self, connection: Answering, head: Head, body: bytes) -> None:
        self._connection = connection
        self.head = head
        self.body = body
        self.when_answered: Callable[[int], None] | None = None
        """Told the status once it is answered."""

    @property
    def method(self) -> str:
        return self.head.method

    @property
    def path(self) -> str:
        return self.head.path

    @property
    def headers(self) -> dict[bytes, bytes]:
        return self.head.headers

    @property
    def client(self) -> str:
        return self.head.client

    def answer(
        self, status: int, body: bytes, headers: bytes = b"", content_type: bytes = JSON
    ) -> None:
        """Send the answer. `headers`: further ones, each with its line end."""
        if self.when_answered is not None:
            self.when_answered(status)
        self._connection.answer(self, status, body, headers, content_type)


class Application(Protocol):
    """What answers requests."""

    @property
    def epoch(self) -> int:
        """Another number once an earlier `admit` may have another result for the same head."""

    def admit(self, head: Head) -> "int | Problem":
        """At the end of the head: how many bytes the body may have, or why it is refused."""
        ...

    def refused(self, head: Head, problem: Problem) -> None:
        """A request is refused before it is whole; its head may not be whole either."""
        ...

    def answer(self, request: Request) -> None:
        """Have a whole request answered, now or later; raises nothing."""
        ...
