"""The prediction service: samples in over HTTP, answers out, each captured."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection

import msgspec

from everloop_runtime import inputs, openapi
from everloop_runtime.admission import Admission
from everloop_runtime.asking import Asking, id_line
from everloop_runtime.board import Board
from everloop_runtime.capture import seal_leftovers
from everloop_runtime.fleet import Fleet
from everloop_runtime.guard import Guard, Room
from everloop_runtime.head import Head, Request
from everloop_runtime.keys import KeyRing
from everloop_runtime.logs import RequestLog
from everloop_runtime.metrics import Figures
from everloop_runtime.outbox import Outbox
from everloop_runtime.predicting import Predictor
from everloop_runtime.problems import Problem
from everloop_runtime.protocol import Protocol
from everloop_runtime.settings import ServiceSettings
from everloop_runtime.status import Status
from everloop_runtime.tracing import Tracer

_LOOK_EVERY = 0.1
_TELL_EVERY = 0.25
_SMALL_BODY = 1_000_000
_ASKING = frozenset({"/v1/predict", "/v1/search"})
_OPEN_TO_ALL = frozenset({"/livez", "/readyz", "/startupz", "/v2/health/live", "/v2/health/ready"})
_FLUSH_SECONDS = 5.0

Handler = Callable[[Request], "Awaitable[None] | None"]


class Service:
    """One process of the service: what it knows, and how each request is answered."""

    def __init__(self, settings: ServiceSettings, instance: str, board: Board) -> None:
        self.settings = settings
        self.instance = instance
        self.fleet = Fleet(
            settings.routes,
            settings.bundles,
            admission=Admission(settings.trust, settings.trial, settings.limits),
            threads=settings.threads,
        )
        self.figures = Figures()
        self.log = RequestLog()
        self.draining = False
        self.epoch = 0
        self._board = board
        self._keys = None if settings.keys is None else KeyRing(settings.keys)
        self._guard = Guard(settings.hosts, self._keys)
        self._room = Room(settings.in_flight, settings.in_flight_of_one)
        self._tracer = None if settings.traces is None else Tracer(settings.traces)
        self._tasks: set[asyncio.Task[None]] = set()

    async def prepare(self) -> None:
        """Be able to answer: that no model is loaded yet, at first."""
        settings = self.settings
        if settings.capture.is_dir():
            await asyncio.to_thread(seal_leftovers, settings.capture)
        fleet, figures, room = self.fleet, self.figures, self._room
        self.outbox = outbox = Outbox(settings.capture, settings.policy)
        self.predictor = predictor = Predictor(fleet, outbox, figures, settings.limits)
        self._status = Status(fleet, outbox, predictor, figures, room, self._board)
        self._protocol = Protocol(fleet, room, predictor, settings.limits.max_bytes)
        self._asking = Asking(
            predictor, outbox, figures, room, settings.limits.max_bytes, self._refuse, self._refused
        )
        self._routes: dict[str, dict[str, Handler]] = {
            "/v1/predict": {"POST": self._asking.predict},
            "/v1/search": {"POST": self._asking.search},
            "/v1/feedback": {"POST": self._take_feedback},
            "/v1/status": {"GET": self._tell_status},
            "/v1/flush": {"POST": self._flush},
            "/livez": {"GET": self._live},
            "/readyz": {"GET": self._ready},
            "/startupz": {"GET": self._ready},
            "/metrics": {"GET": self._metrics},
            "/openapi.json": {"GET": self._openapi},
        }

    async def start(self) -> None:
        """Load what the routes name and follow them."""
        await self.fleet.follow()
        self._status.tell()
        self._followers = [
            asyncio.create_task(self._follow()),
            asyncio.create_task(self._tell_often()),
        ]

    async def stop(self) -> None:
        """Seal what was captured and end what runs beside."""
        for follower in self._followers:
            follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follower
        await self.predictor.close()
        self.fleet.close()
        await self.outbox.close()
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close)
        self._status.tell()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            await self.fleet.follow()
            if self._keys is not None and self._keys.follow():
                self.epoch += 1
            wish = self._board.flush_wish()
            if wish > self._status.flushed:
                await self.outbox.seal()
                self._status.flushed = wish
                self._status.tell()

    async def _tell_often(self) -> None:
        while True:
            await asyncio.sleep(_TELL_EVERY)
            self.predictor.expire(self.settings.deadline)
            if self._board.workers > 1:
                self._status.tell()

    # As the wire's application.

    def admit(self, head: Head) -> int | Problem:
        """How many bytes the body may have, or why the request is refused."""
        problem = None if head.path in _OPEN_TO_ALL else self._guard.check(head)
        problem = problem or self._no_route(head)
        if problem is not None:
            return problem
        head.route = self._handler(head)
        if head.method != "POST":
            return 0
        if head.path.startswith("/v2"):
            return self.settings.max_body
        if head.path in _ASKING:
            one = head.route in (self._asking.predict_one, self._asking.search_one)
            return self.settings.limits.max_bytes if one else self.settings.max_body
        return _SMALL_BODY

    def _no_route(self, head: Head) -> Problem | None:
        methods = self._methods(head.path)
        if methods is None:
            told = f"there is nothing at {head.path[:100]!r}"
            return Problem(404, told, "GET /openapi.json tells what there is")
        if head.method not in methods and not (head.method == "HEAD" and "GET" in methods):
            allowed = ", ".join(methods)
            told = f"{head.method} is not for {head.path}"
            return Problem(405, told, f"use {allowed}", {"Allow": allowed})
        return None

    def _methods(self, path: str) -> Collection[str] | None:
        if path.startswith("/v2"):
            method = self._protocol.methods(path)
            return None if method is None else (method,)
        return self._routes.get(path)

    def _handler(self, head: Head) -> Handler:
        methods = self._routes.get(head.path)
        if methods is None:
            return self._answer_v2
        if head.path in _ASKING and inputs.is_one(head):
            asking = self._asking
            return asking.search_one if head.path == "/v1/search" else asking.predict_one
        return methods.get(head.method) or methods["GET"]

    def _answer_v2(self, request: Request) -> "Awaitable[None] | None":
        return self._protocol.answer(request, ready=self._is_ready())

    def answer(self, request: Request) -> None:
        """Have a whole request answered."""
        if self._tracer is not None and request.path not in _OPEN_TO_ALL:
            self._tracer.begin(request)
        try:
            later = request.head.route(request)
        except Problem as problem:
            self._refuse(request, problem)
        except Exception as error:  # noqa: BLE001 - the client is told, the log has the rest
            self._broke(request, error)
        else:
            if later is not None:
                task = asyncio.ensure_future(self._finish(request, later))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _finish(self, request: Request, later: Awaitable[None]) -> None:
        try:
            await later
        except Problem as problem:
            self._refuse(request, problem)
        except Exception as error:  # noqa: BLE001 - the client is told, the log has the rest
            self._broke(request, error)

    def _broke(self, request: Request, error: Exception) -> None:
        self.log.broke(request.head, error)
        self._refuse(request, Problem(500, "the service has a defect", "tell whoever runs it"))

    def _refuse(self, request: Request, problem: Problem) -> None:
        self.refused(request.head, problem)
        lines = problem.header_lines() + id_line(request, self.predictor.new_id)
        request.answer(problem.status, problem.body(), lines)

    def _refused(self, request: Request, problem: Problem) -> None:
        self.refused(request.head, problem)

    def refused(self, head: Head, problem: Problem) -> None:
        """Count and log what is refused, and have it told as the client's protocol wants."""
        problem.plain = head.path.startswith("/v2")
        self.figures.count("everloop_refused", (str(problem.status),))
        self.log.refused(head, problem)

    # The handlers that are not for samples.

    def _take_feedback(self, request: Request) -> None:
        self._asking.take_feedback(request.client if self._keys is not None else "", request)

    async def _flush(self, request: Request) -> None:
        """POST /v1/flush: seal the open capture segments now."""
        await self.outbox.seal()
        if self._board.workers > 1:
            await self._all_flushed(self._board.ask_flush())
        request.answer(200, b'{"flushed":true}')

    async def _all_flushed(self, wish: int) -> None:
        end = time.monotonic() + _FLUSH_SECONDS
        while time.monotonic() < end:
            if all(o is not None and o.flushed >= wish for o in self._board.others()):
                return
            await asyncio.sleep(0.02)
        raise Problem(503, "not every worker has sealed its captures", "ask again")

    def _live(self, request: Request) -> None:
        request.answer(200, b'{"live":true}')

    def _ready(self, request: Request) -> None:
        """200 once every worker has a champion, 503 before, and while the service ends."""
        ready = self._is_ready()
        request.answer(200 if ready else 503, b'{"ready":true}' if ready else b'{"ready":false}')

    def _is_ready(self) -> bool:
        return self._status.whole()[0].ready and not self.draining

    def _metrics(self, request: Request) -> None:
        whole, _ = self._status.whole()
        text = b"text/plain; version=0.0.4; charset=utf-8"
        request.answer(200, whole.figures.text(), content_type=text)

    def _openapi(self, request: Request) -> None:
        seats = self.fleet.seats("")
        bundle = seats[0].batcher.model.bundle if seats else None
        request.answer(200, openapi.document(bundle))

    def _tell_status(self, request: Request) -> None:
        request.answer(200, msgspec.json.encode(self._status.told(self.instance)))
