"""`everloop-serve`: the prediction service as a program of its own."""

import argparse
import asyncio
import contextlib
import functools
import gc
import json
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from everloop_runtime.board import Board
from everloop_runtime.capture import CapturePolicy
from everloop_runtime.errors import EverloopError
from everloop_runtime.files import write_atomic
from everloop_runtime.images import ImageLimits
from everloop_runtime.listening import LOOPBACK_NAMES, is_loopback, listen, origin_of
from everloop_runtime.logs import JsonLines
from everloop_runtime.signatures import Trust
from everloop_runtime.trial import TrialLimits

if TYPE_CHECKING:
    from everloop_runtime.settings import ServiceSettings

_DRAIN_SECONDS = 30
_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit code is 0 after a clean end."""
    options = _parser().parse_args(arguments)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    try:
        settings = _settings(options)
        listening = listen(options.host, options.port, allow_remote=options.allow_remote)
    except EverloopError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    parent = os.getppid() if options.exit_with_parent else None
    return _run(options, settings, listening, parent)


def _run(
    options: argparse.Namespace,
    settings: "ServiceSettings",
    listening: socket.socket,
    parent: int | None,
) -> int:
    import uvloop

    from everloop_runtime.workers import Supervisor

    instance = secrets.token_hex(8)
    started = functools.partial(_announce, options, listening, instance)
    gone = functools.partial(_is_gone, parent)
    if options.workers == 1:
        return uvloop.run(_serve(settings, listening, Board(), instance, started, gone))

    def work(board: Board, pipe: int) -> int:
        os.set_blocking(pipe, False)
        orphaned = functools.partial(_is_closed, pipe)
        serving = _serve(settings, listening, board, instance, _nothing, orphaned)
        return uvloop.run(serving)

    _load_libraries()
    return Supervisor(options.workers, work).run(started, gone)


def _nothing() -> None:
    return


def _load_libraries() -> None:
    """Load once, before the workers part, what all of them share."""
    import onnxruntime  # noqa: F401

    import everloop_runtime.service  # noqa: F401
    from everloop_runtime.images import load_decoders

    load_decoders()


def _parser() -> argparse.ArgumentParser:
    policy = CapturePolicy()
    parser = argparse.ArgumentParser(prog="everloop-serve", description=__doc__)
    add = parser.add_argument
    add("--routes", type=Path, required=True, help="the routes document")
    add("--bundles", type=Path, required=True, help="the folder of bundles")
    add("--capture", type=Path, required=True, help="where answers are kept")
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0 takes any free one")
    add("--host-name", action="append", default=[], metavar="NAME",
        help="a name by which clients address it, besides its own; * for any")  # fmt: skip
    add("--address-file", type=Path, help="where the address is written")
    add("--keys", type=Path, help="the file of API keys; without it nobody is asked for one")
    add("--workers", type=_workers, default=1, help="processes, or `auto`: one a processor")
    add("--threads", type=int, default=1, help="threads of one model's run")
    add("--max-bytes", type=int, default=ImageLimits().max_bytes, help="of one image")
    add("--max-pixels", type=int, default=ImageLimits().max_pixels, help="of one image")
    add("--max-body", type=int, default=64_000_000, help="bytes of a request of several images")
    add("--in-flight", type=int, default=1024, help="requests on their way in one process")
    add("--in-flight-of-one", type=int, default=512, help="of them, of one client")
    add("--deadline", type=float, default=30.0, help="seconds until a request is given up")
    add("--capture-mode", choices=("sync", "batched", "sampled"), default=policy.mode)
    add("--capture-share", type=float, default=policy.share, help="what `sampled` keeps, 0 to 1")
    add("--capture-quota", type=int, default=policy.quota_bytes, help="bytes of the folder")
    add("--trusted-key", action="append", default=[], help="a public key (ed25519:...) that signs")
    add("--require-signature", action="store_true", help="serve only what a trusted key has signed")
    add("--trial-seconds", type=float, default=30.0, help="for a bundle's trial before loading")
    add("--trial-memory", type=int, default=4 * 2**30, help="bytes for a bundle's trial")
    add("--traces", choices=("otlp", "log"), help="where OpenTelemetry spans of requests go")
    add("--allow-remote", action="store_true", help="listen on an address that others can reach")
    add("--exit-with-parent", action="store_true",
        help="end when the starting process is gone")  # fmt: skip
    return parser


def _workers(text: str) -> int:
    number = len(os.sched_getaffinity(0)) if text == "auto" else int(text)
    if not 1 <= number <= 64:
        raise argparse.ArgumentTypeError("1 to 64, or auto")
    return number


def _settings(options: argparse.Namespace) -> "ServiceSettings":
    from everloop_runtime.keys import KeyRing
    from everloop_runtime.settings import ServiceSettings
    from everloop_runtime.tracing import Tracer

    if options.traces is not None:
        Tracer(options.traces).close()
    if options.keys is not None:
        KeyRing(options.keys)
    elif options.allow_remote and not is_loopback(options.host):
        _log.warning("others can reach %s and nobody is asked for an API key", options.host)
    return ServiceSettings(
        routes=options.routes,
        bundles=options.bundles,
        capture=options.capture,
        limits=ImageLimits(options.max_bytes, options.max_pixels),
        max_body=max(options.max_body, options.max_bytes),
        threads=options.threads,
        trust=Trust(tuple(options.trusted_key), options.require_signature),
        trial=TrialLimits(options.trial_memory, options.trial_seconds),
        policy=CapturePolicy(
            mode=options.capture_mode,
            share=options.capture_share,
            quota_bytes=options.capture_quota,
        ),
        hosts=(*LOOPBACK_NAMES, *options.host_name),
        keys=options.keys,
        in_flight=options.in_flight,
        in_flight_of_one=options.in_flight_of_one,
        traces=options.traces,
        deadline=options.deadline,
    )


async def _serve(
    settings: "ServiceSettings",
    listening: socket.socket,
    board: Board,
    instance: str,
    started: Callable[[], None],
    gone: Callable[[], bool],
) -> int:
    from everloop_runtime.server import Server
    from everloop_runtime.service import Service

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    service = Service(settings, instance, board)
    await service.prepare()
    server = Server(service)
    server.start(listening, board.crowd, board.slot)
    # Probes are answered while models are being loaded; the libraries that they need are loaded
    # while the bundle is on trial in a process of its own.
    libraries = asyncio.get_running_loop().run_in_executor(None, _load_libraries)
    await service.start()
    await libraries
    # What is there by now stays: the garbage collector need not look at it again and again.
    gc.freeze()
    # Nearly everything else ends with its request, by its reference count.
    gc.set_threshold(20_000, 50, 100)
    started()
    while not stop.is_set() and not gone():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.5)
    service.draining = True
    await server.drain(_DRAIN_SECONDS)
    await service.stop()
    return 0


def _announce(options: argparse.Namespace, listening: socket.socket, instance: str) -> None:
    """Write the address, now that requests are answered there."""
    host, port = listening.getsockname()[:2]
    url = origin_of(listening)
    told = {"pid": os.getpid(), "instance": instance, "host": host, "port": port, "url": url}
    if options.address_file is not None:
        write_atomic(options.address_file, json.dumps(told).encode())
    _log.info("listening on %s", url)


def _is_gone(parent: int | None) -> bool:
    return parent is not None and os.getppid() != parent


def _is_closed(pipe: int) -> bool:
    try:
        return os.read(pipe, 1) == b""
    except BlockingIOError:
        return False


if __name__ == "__main__":
    sys.exit(main())
