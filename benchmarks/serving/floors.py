"""Empty handlers, which no service can beat: `python floors.py wire PORT WORKERS`, or imported."""

import os
import socket
import sys
from typing import Any

_HEADERS = [(b"content-length", b"2"), (b"content-type", b"application/json")]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """A bare ASGI callable: reads the body, answers `{}`."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b"{}"})


async def rsgi(_scope: Any, protocol: Any) -> None:
    """The same for Granian."""
    await protocol()
    protocol.response_bytes(200, [("content-type", "application/json")], b"{}")


def wire(port: int, workers: int) -> None:
    """The same on Everloop's own wire."""
    import asyncio

    import uvloop

    from everloop_runtime.head import Head, Request
    from everloop_runtime.problems import Problem
    from everloop_runtime.server import Server

    class Empty:
        epoch = 0

        def refused(self, _head: Head, _problem: Problem) -> None:
            """Nothing is counted here."""

        def admit(self, _head: Head) -> int | Problem:
            return 1_000_000

        def answer(self, request: Request) -> None:
            request.answer(200, b"{}")

    async def serve() -> None:
        Server(Empty()).start(listening)
        await asyncio.Event().wait()

    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    for _ in range(workers - 1):
        if not os.fork():
            break
    uvloop.run(serve())


if __name__ == "__main__":
    wire(int(sys.argv[2]), int(sys.argv[3]))
