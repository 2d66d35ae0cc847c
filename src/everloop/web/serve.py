"""The pages' process: a socket, perhaps TLS, and the site behind it."""

import asyncio
import functools
import logging
import os
import signal
import ssl
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.compute.kept import running_at, tell_address
from everloop.errors import Conflict, Refused
from everloop.layout import Layout
from everloop.policy import WebPolicy
from everloop_runtime.listening import listen, origin_of
from everloop_runtime.logs import JsonLines

if TYPE_CHECKING:
    import socket

    from everloop.labelling.backend import Backend
    from everloop.loop.project import Project
    from everloop.web.pulling import Pulling
    from everloop.web.site import Site
    from everloop_runtime.head import Head, Request
    from everloop_runtime.problems import Problem

_DRAIN_SECONDS = 5.0
_CONNECTIONS = 512


def serve(
    layout: Layout,
    policy: WebPolicy,
    open_project: "Callable[[], Project]",
    clock: Callable[[], datetime],
    ready: Callable[[str], None],
    label_backend: "Callable[[Project], Backend] | None" = None,
) -> None:
    """Serve the pages until SIGTERM or SIGINT; `ready` is told their URL once they answer.

    `label_backend`: the labelling tool that the policy names, whose calls are taken.

    The stores are opened when the first page asks for them. Raises `Refused` for TLS files that
    cannot be used, `Unavailable` when the port is taken, `Conflict` when they are served already.
    """
    import uvloop

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Each page asks the service how it is; that it did is no news.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    tls = tls_of(layout.project, policy)
    address = layout.pages_address
    running = running_at(address)
    if running is not None and running[1] != os.getpid():
        raise Conflict(f"the pages of this project answer at {running[0]} already")
    # Whether others may reach it, the policy has answered when it was read.
    listening = listen(policy.host, policy.port, allow_remote=True)
    url = origin_of(listening, "https" if tls else "http")

    def announce() -> None:
        tell_address(address, url, os.getpid())
        ready(url)

    wake = functools.partial(
        make_site, layout, policy, open_project, clock, label_backend=label_backend
    )
    try:
        uvloop.run(_serve(wake, listening, tls, announce))
    finally:
        address.unlink(missing_ok=True)


def tls_of(project: Path, policy: WebPolicy) -> ssl.SSLContext | None:
    """What TLS needs, where the policy names it. Raises `Refused` when it cannot be used."""
    if not policy.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(project / policy.certificate, project / policy.key)
    except (OSError, ssl.SSLError) as error:
        raise Refused(
            f"[web] certificate {policy.certificate} and key {policy.key} cannot be used: {error}"
        ) from error
    return context


class _Sleeping:
    """The site, made when somebody comes: until then the pages cost next to nothing."""

    def __init__(self, wake: "Callable[[], Site]") -> None:
        self._wake = wake
        self.site: Site | None = None

    @property
    def epoch(self) -> int:
        """As the site's."""
        return time.monotonic_ns()

    def admit(self, head: "Head") -> "int | Problem":
        """As the site does."""
        self.site = self.site or self._wake()
        return self.site.admit(head)

    def refused(self, head: "Head", problem: "Problem") -> None:
        """As the site does; what is refused before somebody came is nobody's."""
        if self.site is not None:
            self.site.refused(head, problem)

    def answer(self, request: "Request") -> None:
        """As the site does, which has admitted it."""
        assert self.site is not None  # noqa: S101 - `admit` woke it
        self.site.answer(request)


async def _serve(
    wake: "Callable[[int], Site]",
    listening: "socket.socket",
    tls: ssl.SSLContext | None,
    announce: Callable[[], None],
) -> None:
    from everloop_runtime.arriving import WireLimits
    from everloop_runtime.server import Server

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sleeping = _Sleeping(functools.partial(wake, listening.getsockname()[1]))
    server = Server(sleeping, WireLimits(connections=_CONNECTIONS))
    server.start(listening, tls=tls)
    announce()
    await stop.wait()
    await server.drain(_DRAIN_SECONDS)
    if sleeping.site is not None:
        await sleeping.site.stop()


def make_site(
    layout: Layout,
    policy: WebPolicy,
    open_project: "Callable[[], Project]",
    clock: Callable[[], datetime],
    port: int,
    *,
    label_backend: "Callable[[Project], Backend] | None" = None,
) -> "Site":
    """The site of a product, as it is served on a port. Opens nothing yet."""
    from everloop.state.access import Access
    from everloop.state.audit import Audit
    from everloop.state.database import Database
    from everloop.web.gate import Gate
    from everloop.web.pages.entrance import Entrance
    from everloop.web.pages.hooks import Hooks
    from everloop.web.site import Site, names_of
    from everloop.web.table import routes
    from everloop.web.tries import Tries

    pulling = _pulling(open_project, label_backend, clock)
    database = functools.cache(lambda: Database.open(layout.database))
    tries, provider = Tries(), None
    if policy.oidc.issuer:
        from everloop.adapters.oidc import Oidc

        provider = Oidc(policy.oidc, os.environ.get("EVERLOOP_OIDC_SECRET"))
    # Browsers give one name's cookies to all its ports: each product has a cookie of its own.
    cookie = f"everloop-{port}"
    gate = Gate(
        lambda: Access(database()),
        routes(
            Entrance(cookie, tries, policy.session, provider),
            Hooks(None if pulling is None else pulling.soon),
        ),
        hosts=names_of(policy.hosts, policy.host),
        cookie=cookie,
        tries=tries,
        clock=clock,
        audit=lambda: Audit(database()),
    )
    return Site(
        gate,
        database,
        open_project,
        clock,
        is_secure=bool(policy.certificate),
        provided=provider is not None,
        pulling=pulling,
    )


def _pulling(
    open_project: "Callable[[], Project]",
    label_backend: "Callable[[Project], Backend] | None",
    clock: Callable[[], datetime],
) -> "Pulling | None":
    """Pulls from the labelling tool; None without one."""
    if label_backend is None:
        return None
    from everloop.web.pulling import Pulling

    # Opened in the thread that pulls: no store is shared between threads.
    project = functools.cache(open_project)
    tool = functools.cache(lambda: label_backend(project()))

    def pull_all() -> None:
        from everloop.loop.label_sync import pull

        pull(project(), tool(), clock())

    return Pulling(pull_all)
