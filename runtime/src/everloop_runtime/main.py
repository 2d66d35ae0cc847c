"""`everloop-serve`: the prediction service as a program of its own."""

import argparse
import asyncio
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from everloop_runtime.errors import EverloopError, Refused, Unavailable
from everloop_runtime.files import write_atomic
from everloop_runtime.images import ImageLimits
from everloop_runtime.signatures import Trust
from everloop_runtime.trial import TrialLimits

if TYPE_CHECKING:
    import uvicorn

_DRAIN_SECONDS = 30


class JsonLines(logging.Formatter):
    """One line of JSON a record; what a client sent cannot break or colour it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        told = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit code is 0 after a clean end."""
    options = _parser().parse_args(arguments)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    try:
        trust = Trust(tuple(options.trusted_key), options.require_signature)
        listening = _listen(options.host, options.port, allow_remote=options.allow_remote)
    except EverloopError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    # The server finishes what it is answering, then raises the signal that ended it once more.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    asyncio.run(_serve(options, listening, trust))
    return 0


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="everloop-serve", description=__doc__)
    parser.add_argument("--routes", type=Path, required=True, help="the routes document")
    parser.add_argument("--bundles", type=Path, required=True, help="the folder of bundles")
    parser.add_argument("--capture", type=Path, required=True, help="where answers are kept")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument("--address-file", type=Path, help="where the address is written")
    parser.add_argument("--threads", type=int, default=1, help="threads of one model's run")
    parser.add_argument("--max-bytes", type=int, default=ImageLimits().max_bytes)
    parser.add_argument("--max-pixels", type=int, default=ImageLimits().max_pixels)
    parser.add_argument(
        "--allow-remote", action="store_true", help="listen on an address that others can reach"
    )
    parser.add_argument(
        "--trusted-key", action="append", default=[], help="a public key (ed25519:...) that signs"
    )
    parser.add_argument(
        "--require-signature", action="store_true", help="serve only what a trusted key has signed"
    )
    parser.add_argument(
        "--trial-seconds",
        type=float,
        default=30.0,
        help="for a bundle's trial before loading",
    )
    parser.add_argument(
        "--trial-memory", type=int, default=4 * 2**30, help="bytes for a bundle's trial"
    )
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="end when the starting process is gone"
    )
    return parser


def _listen(host: str, port: int, *, allow_remote: bool) -> socket.socket:
    if not allow_remote and not _is_loopback(host):
        raise Refused(f"{host} can be reached by others; say --allow-remote if that is meant")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named: without it the event loop would not turn Nagle's algorithm off, and
    # each answer would wait 40 ms for the client's delayed acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        raise Unavailable(f"cannot listen on {host} port {port}: {error}") from error
    return listening


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _serve(options: argparse.Namespace, listening: socket.socket, trust: Trust) -> None:
    import uvicorn

    from everloop_runtime.service import Service, ServiceSettings, create_app

    settings = ServiceSettings(
        routes=options.routes,
        bundles=options.bundles,
        capture=options.capture,
        limits=ImageLimits(options.max_bytes, options.max_pixels),
        threads=options.threads,
        trust=trust,
        trial=TrialLimits(options.trial_memory, options.trial_seconds),
    )
    app = create_app(settings)
    service: Service = app.state.service
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        timeout_keep_alive=10,
        server_header=False,
    )
    server = uvicorn.Server(config)
    helpers = [asyncio.create_task(_announce(server, options, listening, service.instance))]
    if options.exit_with_parent:
        helpers.append(asyncio.create_task(_exit_with(server, os.getppid())))
    await server.serve(sockets=[listening])
    for helper in helpers:
        helper.cancel()


async def _announce(
    server: "uvicorn.Server",
    options: argparse.Namespace,
    listening: socket.socket,
    instance: str,
) -> None:
    """Write the address once the server accepts connections."""
    while not server.started:
        await asyncio.sleep(0.01)
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    told = {"pid": os.getpid(), "instance": instance, "host": host, "port": port, "url": url}
    if options.address_file is not None:
        write_atomic(options.address_file, json.dumps(told).encode())
    logging.getLogger(__name__).info("listening on %s", url)


async def _exit_with(server: "uvicorn.Server", parent: int) -> None:
    while os.getppid() == parent:
        await asyncio.sleep(0.5)
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
