"""The prediction service: images in over HTTP, answers out, each captured."""

import asyncio
import contextlib
import functools
import os
import re
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from everloop_runtime import inputs, openapi
from everloop_runtime.admission import Admission
from everloop_runtime.board import Board, WorkerState
from everloop_runtime.capture import CapturePolicy, seal_leftovers
from everloop_runtime.feedback import read_feedback
from everloop_runtime.fleet import Fleet
from everloop_runtime.guard import Guard, Room
from everloop_runtime.ids import PredictionId
from everloop_runtime.images import ImageLimits
from everloop_runtime.keys import KeyRing
from everloop_runtime.logs import RequestLog
from everloop_runtime.metrics import Figures
from everloop_runtime.outbox import Outbox
from everloop_runtime.predicting import Ask, Predictor
from everloop_runtime.problems import Problem
from everloop_runtime.protocol import Protocol
from everloop_runtime.segments import FeedbackRecord
from everloop_runtime.signatures import ANYBODY, Trust
from everloop_runtime.tracing import Target, Tracer
from everloop_runtime.trial import DEFAULT_TRIAL, TrialLimits
from everloop_runtime.wire import Request

_LOOK_EVERY = 0.1
_TELL_EVERY = 0.25
_SMALL_BODY = 1_000_000
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}\Z")
_OPEN_TO_ALL = frozenset({"/livez", "/readyz", "/startupz", "/v2/health/live", "/v2/health/ready"})
_FLUSH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What a service needs to know."""

    routes: Path
    bundles: Path
    capture: Path
    limits: ImageLimits = field(default_factory=ImageLimits)
    max_body: int = 64_000_000
    """Bytes of a request that carries several images."""
    threads: int = 1
    trust: Trust = ANYBODY
    """Whose bundles are served."""
    trial: TrialLimits = DEFAULT_TRIAL
    """What a bundle may take when it is opened first, in a process of its own."""
    policy: CapturePolicy = field(default_factory=CapturePolicy)
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    """Names by which clients may address it; a request for another is refused."""
    keys: Path | None = None
    """The file of API keys; None: nobody is asked for one."""
    in_flight: int = 1024
    """Requests that may be on their way in one process."""
    in_flight_of_one: int = 512
    """Of them, requests of one client."""
    traces: Target | None = None
    """Where spans of requests go; None: there are none."""
    deadline: float = 30.0
    """Seconds after which a request is given up."""


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
        self._board = board
        self._keys = None if settings.keys is None else KeyRing(settings.keys)
        self._guard = Guard(settings.hosts, self._keys)
        self._room = Room(settings.in_flight, settings.in_flight_of_one)
        self._protocol = Protocol(self.fleet, self._room, settings.limits.max_bytes)
        self._tracer = None if settings.traces is None else Tracer(settings.traces)
        self._flushed = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.draining = False
        self._routes: dict[str, dict[str, Handler]] = {
            "/v1/predict": {"POST": self._predict},
            "/v1/feedback": {"POST": self._take_feedback},
            "/v1/status": {"GET": self._status},
            "/v1/flush": {"POST": self._flush},
            "/livez": {"GET": self._live},
            "/readyz": {"GET": self._ready},
            "/startupz": {"GET": self._ready},
            "/metrics": {"GET": self._metrics},
            "/openapi.json": {"GET": self._openapi},
        }

    async def prepare(self) -> None:
        """Be able to answer: that no model is loaded yet, at first."""
        settings = self.settings
        if settings.capture.is_dir():
            await asyncio.to_thread(seal_leftovers, settings.capture)
        self.outbox = Outbox(settings.capture, settings.policy)
        self.predictor = Predictor(self.fleet, self.outbox, self.figures, settings.limits)
        self._protocol.predictor = self.predictor

    async def start(self) -> None:
        """Load what the routes name and follow them."""
        await self.fleet.follow()
        self._tell()
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
        self._tell()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            await self.fleet.follow()
            if self._keys is not None:
                self._keys.follow()
            wish = self._board.flush_wish()
            if wish > self._flushed:
                await self.outbox.seal()
                self._flushed = wish
                self._tell()

    async def _tell_often(self) -> None:
        while True:
            await asyncio.sleep(_TELL_EVERY)
            self.predictor.expire(self.settings.deadline)
            if self._board.workers > 1:
                self._tell()

    # As the wire's application.

    def admit(self, request: Request) -> int | Problem:
        """How many bytes the body may have, or why the request is refused."""
        problem = None if request.path in _OPEN_TO_ALL else self._guard.check(request)
        problem = problem or self._no_route(request)
        if problem is not None:
            return self._refused(request, problem)
        if request.method != "POST":
            return 0
        if request.path.startswith("/v2"):
            return self.settings.max_body
        if request.path == "/v1/predict":
            kind = request.headers.get(b"content-type", b"")
            several = kind.startswith((b"multipart/", b"application/json"))
            return self.settings.max_body if several else self.settings.limits.max_bytes
        return _SMALL_BODY

    def _no_route(self, request: Request) -> Problem | None:
        methods = self._methods(request.path)
        if methods is None:
            told = f"there is nothing at {request.path[:100]!r}"
            return Problem(404, told, "GET /openapi.json tells what there is")
        if request.method not in methods and not (request.method == "HEAD" and "GET" in methods):
            allowed = ", ".join(methods)
            told = f"{request.method} is not for {request.path}"
            return Problem(405, told, f"use {allowed}", {"Allow": allowed})
        return None

    def _methods(self, path: str) -> Collection[str] | None:
        if path.startswith("/v2"):
            method = self._protocol.methods(path)
            return None if method is None else (method,)
        return self._routes.get(path)

    def _handler(self, request: Request) -> Handler:
        methods = self._routes.get(request.path)
        if methods is None:
            return self._answer_v2
        return methods.get(request.method) or methods["GET"]

    def _answer_v2(self, request: Request) -> "Awaitable[None] | None":
        return self._protocol.answer(request, ready=self._is_ready())

    def answer(self, request: Request) -> None:
        """Have a whole request answered."""
        if self._tracer is not None and request.path not in _OPEN_TO_ALL:
            self._tracer.begin(request)
        try:
            later = self._handler(request)(request)
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
        self.log.broke(request, error)
        self._refuse(request, Problem(500, "the service has a defect", "tell whoever runs it"))

    def _refuse(self, request: Request, problem: Problem) -> None:
        self._refused(request, problem)
        lines = problem.header_lines() + _id_line(request, self.predictor.new_id)
        request.answer(problem.status, problem.body(), lines)

    def _refused(self, request: Request, problem: Problem) -> Problem:
        problem.plain = request.path.startswith("/v2")
        self.figures.count("everloop_refused", (str(problem.status),))
        self.log.refused(request, problem)
        return problem

    # The handlers.

    def _predict(self, request: Request) -> None:
        """POST /v1/predict: one image or several."""
        given = inputs.read_inputs(request, self.settings.limits.max_bytes)
        if problem := self._room.enter(request.client):
            raise problem
        if not given.many:
            done = functools.partial(self._told_one, request)
            self.predictor.predict(given.images[0], given.key, done)
            return
        asks: list[Ask] = []
        left = len(given.images)

        def one_done(_: Ask) -> None:
            nonlocal left
            left -= 1
            if not left:
                self._told_many(request, asks)

        # The list is whole before the last of them can be done.
        left += 1
        asks += [self.predictor.predict(image, given.key, one_done) for image in given.images]
        one_done(asks[0])

    def _told_one(self, request: Request, ask: Ask) -> None:
        self._room.leave(request.client)
        if ask.problem is not None:
            self._refuse(request, ask.problem)
            return
        given = request.headers.get(b"x-request-id")
        name = given if given is not None and _SANE_ID.match(given) else ask.prediction.encode()
        request.answer(200, ask.told, b"x-request-id: %b\r\n" % name)

    def _told_many(self, request: Request, asks: list[Ask]) -> None:
        self._room.leave(request.client)
        for ask in asks:
            if ask.problem is not None:
                self._refused(request, ask.problem)
        if all(ask.problem is not None and ask.problem.status >= 500 for ask in asks):
            assert asks[0].problem is not None  # noqa: S101 - all have one
            self._refuse(request, asks[0].problem)
            return
        parts = [ask.told if ask.problem is None else ask.problem.body() for ask in asks]
        body = b'{"predictions":[' + b",".join(parts) + b"]}"
        request.answer(200, body, _id_line(request, self.predictor.new_id))

    def _take_feedback(self, request: Request) -> None:
        """POST /v1/feedback: what became known of answers."""
        found = read_feedback(request.body)
        by = request.client if self._keys is not None else ""
        left = len(found)

        def kept() -> None:
            nonlocal left
            left -= 1
            if not left:
                body = b'{"accepted":%d}' % len(found)
                request.answer(202, body, _id_line(request, self.predictor.new_id))

        for one in found:
            self.figures.count("everloop_feedback", (one.kind,))
            record = FeedbackRecord(
                PredictionId(one.prediction_id), time.time(), one.kind, one.value, by
            )
            self.outbox.put(record, kept)

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
        return self._state_of_all()[0].ready and not self.draining

    def _metrics(self, request: Request) -> None:
        whole, _ = self._state_of_all()
        text = b"text/plain; version=0.0.4; charset=utf-8"
        request.answer(200, whole.figures.text(), content_type=text)

    def _openapi(self, request: Request) -> None:
        request.answer(200, openapi.document())

    def _status(self, request: Request) -> None:
        """GET /v1/status: what is loaded, applied and captured."""
        fleet = self.fleet
        routes = fleet.routes
        whole, workers = self._state_of_all()
        bundles = {b: {"state": "ready", "reason": None} for b in fleet.loaded}
        failed = {b: {"state": "failed", "reason": why} for b, why in fleet.failed.items()}
        told = {
            "instance": self.instance,
            "pid": os.getpid(),
            "workers": workers,
            "ready": whole.ready,
            "generation": whole.generation,
            "complaint": fleet.complaint,
            "champion": routes.champion,
            "canary": routes.canary.model_dump() if routes.canary else None,
            "canary_live": fleet.lease_alive(),
            "shadow": routes.shadow.model_dump() if routes.shadow else None,
            "experiment": routes.experiment.model_dump() if routes.experiment else None,
            "fallback": routes.fallback,
            "warm": routes.warm,
            "live": sorted(fleet.live()),
            "mirror": {"shown": whole.shown, "shed": whole.shed},
            "bundles": {**bundles, **failed},
            "capture": {
                "dropped": whole.dropped,
                "late": whole.late,
                "skipped": whole.skipped,
                "complaint": self.outbox.complaint,
            },
            "served": whole.served,
        }
        request.answer(200, msgspec.json.encode(told))

    # What the workers know together.

    def _state(self) -> WorkerState:
        outbox, figures = self.outbox, self.figures
        figures.counters["everloop_capture_bytes"] = {"": outbox.bytes}
        figures.counters["everloop_capture_dropped"] = {"": outbox.dropped}
        figures.counters["everloop_capture_late"] = {"": outbox.late}
        figures.counters["everloop_capture_skipped"] = {"": outbox.skipped}
        figures.gauges["everloop_queue_depth"] = self.predictor.waiting
        figures.gauges["everloop_in_flight"] = self._room.taken
        return WorkerState(
            slot=self._board.slot,
            pid=os.getpid(),
            ready=self.fleet.ready,
            generation=self.fleet.generation,
            served=self.predictor.served,
            dropped=outbox.dropped,
            late=outbox.late,
            skipped=outbox.skipped,
            shown=self.predictor.mirror.shown,
            shed=self.predictor.mirror.shed,
            flushed=self._flushed,
            figures=figures,
        )

    def _tell(self) -> None:
        self._board.publish(self._state())

    def _state_of_all(self) -> tuple[WorkerState, int]:
        """This worker's state with the others' added, and how many workers have told theirs."""
        whole = self._state()
        others = self._board.others()
        if not others:
            return whole, 1
        whole.figures = Figures()
        whole.figures.add(self.figures)
        whole.served = dict(whole.served)
        for other in others:
            if other is None:
                whole.ready = False
                continue
            whole.ready &= other.ready
            whole.generation = min(whole.generation, other.generation)
            for role, number in other.served.items():
                whole.served[role] = whole.served.get(role, 0) + number
            for name in ("dropped", "late", "skipped", "shown", "shed"):
                setattr(whole, name, getattr(whole, name) + getattr(other, name))
            whole.figures.add(other.figures)
        return whole, 1 + sum(other is not None for other in others)


def _id_line(request: Request, new_id: Callable[[], str]) -> bytes:
    given = request.headers.get(b"x-request-id")
    if given is None or not _SANE_ID.match(given):
        given = new_id().encode()
    return b"x-request-id: %b\r\n" % given
