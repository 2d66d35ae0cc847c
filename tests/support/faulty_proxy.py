"""A proxy in front of a real object store that fails requests as networks and stores do."""

import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

Fault: TypeAlias = Literal["503", "reset", "slow", "answer lost", "cut"]
"""`answer lost`: the store does it, the client never hears of it. `cut`: half the request comes."""
Plan: TypeAlias = Callable[[str, str, int], Fault | None]
"""What happens to a request, by its method, its path and its number."""

_SLOW_S = 0.2
_BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class FaultyProxy(socketserver.ThreadingTCPServer):
    """Each request on a connection of its own, so that each may fail alone."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        host, _, port = target.removeprefix("http://").partition(":")
        self.target = (host, int(port))
        self.plan: Plan = lambda *_: None
        self.met: list[Fault] = []
        self._number = 0
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self, method: str, path: str) -> Fault | None:
        """What happens to this request."""
        with self._lock:
            self._number += 1
            found = self.plan(method, path, self._number)
            if found is not None:
                self.met.append(found)
        return found


class _Handler(socketserver.BaseRequestHandler):
    server: FaultyProxy

    def handle(self) -> None:
        try:
            head, body = self._request()
            if head:
                self._answer(head, body)
        except OSError:
            return

    def _request(self) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.request.recv(65_536)
            if not more:
                return b"", b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        size = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                size = int(line.split(b":")[1])
        while len(body) < size:
            body += self.request.recv(65_536)
        return head, body

    def _answer(self, head: bytes, body: bytes) -> None:
        method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
        fault = self.server.fault(method, path)
        if fault == "503":
            self.request.sendall(_BUSY)
        elif fault == "reset":
            self._reset()
        else:
            if fault == "slow":
                time.sleep(_SLOW_S)
            self._pass_on(head, body, fault)

    def _pass_on(self, head: bytes, body: bytes, fault: Fault | None) -> None:
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection")]
        with socket.create_connection(self.server.target, timeout=30) as store:
            store.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n")
            if fault == "cut":
                store.sendall(body[: len(body) // 2])
                self._reset()
                return
            store.sendall(body)
            while data := store.recv(65_536):
                if fault != "answer lost":
                    self.request.sendall(data)
        if fault == "answer lost":
            self._reset()

    def _reset(self) -> None:
        # Closing with nothing to linger for sends a reset instead of an end.
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.request.close()


@contextmanager
def faulty(target: str) -> Iterator[FaultyProxy]:
    """A proxy in front of `target` for as long as the block lasts."""
    with FaultyProxy(target) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()
