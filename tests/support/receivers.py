"""Receivers of messages on this machine: real HTTP and real SMTP, which keep what they get."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Inbox:
    """What has arrived, and how what arrives is answered."""

    port: int = 0
    status: int = 200
    location: str = ""
    hold: threading.Event = field(default_factory=threading.Event)
    """Answers wait for it."""
    arrived: threading.Event = field(default_factory=threading.Event)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    """Heads (names in lower case) and bodies."""


@contextmanager
def http_receiver(port: int = 0) -> Iterator[Inbox]:
    """A web server that takes every POST."""
    inbox = Inbox()
    inbox.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            heads = {name.lower(): value for name, value in self.headers.items()}
            inbox.got.append((heads, self.rfile.read(length)))
            inbox.arrived.set()
            inbox.hold.wait(30)
            self.send_response(inbox.status)
            if inbox.location:
                self.send_header("Location", inbox.location)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with _served(ThreadingHTTPServer(("127.0.0.1", port), Handler), inbox):
        yield inbox


class _Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as takes a message."""

    inbox: Inbox

    def handle(self) -> None:
        self._say("220 here")
        while line := self.rfile.readline():
            word = line.split(b" ")[0].strip().upper()
            if word == b"DATA":
                self._say("354 go on")
                lines = []
                while (more := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(more)
                self.inbox.got.append(({}, b"".join(lines)))
                self.inbox.arrived.set()
            if word == b"QUIT":
                self._say("221 bye")
                return
            self._say("250 fine")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def smtp_receiver() -> Iterator[Inbox]:
    """A mail server that takes every message."""
    inbox = Inbox()
    handler = type("Mail", (_Mail,), {"inbox": inbox})
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    with _served(server, inbox):
        yield inbox


@contextmanager
def _served(server: socketserver.TCPServer, inbox: Inbox) -> Iterator[None]:
    inbox.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        inbox.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
