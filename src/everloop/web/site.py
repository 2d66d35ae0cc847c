"""All pages as one application of the wire that the prediction service stands on too.

Its bounds hold here as there: on heads, bodies, slow and many clients (`everloop_runtime.wire`).
What reads stores is done in lanes: one thread each, with stores of its own, so that labelling
never waits for a page that reads a lot, and no store is shared between threads.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from everloop.errors import Conflict, EverloopError, Refused, Unavailable
from everloop.state.access import Access
from everloop.state.audit import Audit
from everloop.state.database import Database
from everloop.state.passwords import Passwords
from everloop.web.asked import Answer, Asked
from everloop.web.drawing import page
from everloop.web.gate import Gate, Passed, check_csrf
from everloop.web.pulling import Pulling
from everloop.web.routes import Lane
from everloop.web.watching import Opened
from everloop_runtime.head import Head, Request
from everloop_runtime.listening import LOOPBACK_NAMES, is_loopback
from everloop_runtime.logs import RequestLog
from everloop_runtime.problems import Problem, busy

if TYPE_CHECKING:
    from everloop.loop.project import Project

_THREADS: Mapping[Lane, int] = {"desk": 1, "views": 1, "ask": 2}
_WAITING = 64
"""Requests that may wait for one lane."""
_STATUS = {Refused: 422, Conflict: 409, Unavailable: 503}
_DOES = {422: "change what was sent", 409: "look again", 503: "try again in a moment"}

_DEFECT = Problem(500, "the page has a defect", "tell whoever runs it; its log has more")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    # Not `no-referrer`: browsers would send forms with the origin `null` then.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=()",
    "X-Frame-Options": "DENY",
}


class LaneOf:
    """One lane: its threads, and how many requests wait for them."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, f"everloop-web-{name}")
        self.waiting = 0

    def submit(self, work: Callable[[], Answer]) -> "asyncio.Future[Answer]":
        """Do it when it is its turn. Raises `Problem` when too much waits already."""
        if self.waiting >= _WAITING:
            raise busy(f"{self.waiting} requests wait already")
        self.waiting += 1
        done = asyncio.get_running_loop().run_in_executor(self._pool, work)
        done.add_done_callback(self._one_less)
        return done

    def _one_less(self, _done: object) -> None:
        self.waiting -= 1

    def close(self) -> None:
        """End once what is begun is done."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Site:
    """What the pages' server knows, and how each request is answered."""

    def __init__(
        self,
        gate: Gate,
        database: Callable[[], Database],
        open_project: "Callable[[], Project]",
        clock: Callable[[], datetime],
        *,
        is_secure: bool = False,
        provided: bool = False,
        pulling: Pulling | None = None,
    ) -> None:
        """`provided`: people may log in at a provider, and the form says so. `pulling` is ended
        with the site."""
        self._pulling = pulling
        self._provided = provided
        self._gate, self._database, self._clock = gate, database, clock
        self._opened = _once_a_thread(open_project)
        self._is_secure = is_secure
        self._lanes = {name: LaneOf(name, threads) for name, threads in _THREADS.items()}
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = RequestLog()

    @property
    def epoch(self) -> int:
        """Never the same: a session may have ended since the same head came before."""
        return time.monotonic_ns()

    def admit(self, head: Head) -> int | Problem:
        """How many bytes the body may have, or why the request is refused."""
        try:
            passed = self._gate.check(head)
        except EverloopError as error:
            passed = _problem_of(error)
        if isinstance(passed, Problem):
            if head.method != "GET":
                return passed
            self.refused(head, passed)
        head.route = passed
        return passed.route.most if isinstance(passed, Passed) else 0

    def refused(self, head: Head, problem: Problem) -> None:
        """Log what is refused before it is whole."""
        self._log.refused(head, problem)

    def answer(self, request: Request) -> None:
        """Have a whole request answered."""
        passed: Passed | Problem = request.head.route
        if isinstance(passed, Problem):
            self._send(request, self._told(request, None, passed))
            return
        task = asyncio.ensure_future(self._answer(request, passed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: Request, passed: Passed) -> None:
        asked = self._asked(request, passed)
        try:
            answer = await self._drawn(request, asked, passed)
        except Problem as problem:
            answer = self._refused(request, asked, passed, problem)
        except EverloopError as error:
            answer = self._refused(request, asked, passed, _problem_of(error))
        except Exception as error:  # noqa: BLE001 - the person is told, the log has the rest
            self._log.broke(request.head, error)
            answer = self._refused(request, asked, passed, _DEFECT)
        self._send(request, answer)

    async def _drawn(self, request: Request, asked: Asked, passed: Passed) -> Answer:
        check_csrf(passed, asked, request.head)
        route = passed.route
        if route.lane == "here":
            return route.handler(asked)
        return await self._lanes[route.lane].submit(lambda: route.handler(asked))

    def _refused(self, request: Request, asked: Asked, passed: Passed, problem: Problem) -> Answer:
        self._log.refused(request.head, problem)
        return self._told(request, asked, problem, as_json=passed.route.speaks_json)

    def _asked(self, request: Request, passed: Passed) -> Asked:
        return Asked(
            now=self._clock(),
            person=passed.person,
            peer=request.head.peer,
            named=passed.found.named,
            query=request.head.query,
            body=request.body,
            access=Access(self._database()),
            passwords=Passwords(self._database()),
            audit=Audit(self._database()),
            opened=self._opened,
            secret=passed.secret,
            cookies=request.headers.get(b"cookie", b""),
            is_secure=self._is_secure,
        )

    def _told(
        self, request: Request, asked: Asked | None, problem: Problem, *, as_json: bool = False
    ) -> Answer:
        accepts = request.headers.get(b"accept", b"")
        if as_json or b"text/html" not in accepts:
            return Answer(problem.body(), b"application/json", problem.status, problem.headers)
        template = "login.html" if problem.status == 401 else "problem.html"
        title = "Log in" if problem.status == 401 else "That did not work"
        drawn = page(
            asked,
            template,
            title=title,
            status=problem.status,
            problem=problem,
            provided=self._provided,
        )
        return replace(drawn, headers=problem.headers)

    def _send(self, request: Request, answer: Answer) -> None:
        headers = {"Cache-Control": "no-store", **_HEADERS, **answer.headers}
        if self._is_secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request.answer(answer.status, answer.body, lines.encode("latin-1"), answer.kind)

    async def stop(self) -> None:
        """End the lanes, once what is begun is done."""
        if self._pulling is not None:
            await asyncio.to_thread(self._pulling.close)
        for lane in self._lanes.values():
            await asyncio.to_thread(lane.close)


def _once_a_thread(open_project: "Callable[[], Project]") -> Callable[[], Opened]:
    local, one_by_one = threading.local(), threading.Lock()

    def opened() -> Opened:
        if not hasattr(local, "opened"):
            with one_by_one:
                local.opened = Opened(open_project())
        mine: Opened = local.opened
        return mine

    return opened


def _problem_of(error: EverloopError) -> Problem:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    return Problem(status, str(error), _DOES.get(status, "tell whoever runs it"))


def names_of(hosts: Sequence[str], host: str) -> tuple[str, ...]:
    """The names by which browsers may address a server that listens on `host`."""
    name = f"[{host}]" if ":" in host else host
    own = LOOPBACK_NAMES if is_loopback(host) else (*LOOPBACK_NAMES, name)
    return (*own, *hosts)
