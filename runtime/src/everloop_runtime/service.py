"""The prediction service: images in over HTTP, answers out, each captured."""

import asyncio
import contextlib
import os
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from everloop_runtime.admission import Admission
from everloop_runtime.capture import Captured, CaptureWriter, seal_leftovers
from everloop_runtime.errors import EverloopError, Refused
from everloop_runtime.fleet import Fleet, Seat
from everloop_runtime.guard import Guard
from everloop_runtime.ids import PredictionId, SampleId, sample_id
from everloop_runtime.images import ImageLimits, NotAnImage, to_array
from everloop_runtime.metrics import Metrics
from everloop_runtime.mirror import Mirror
from everloop_runtime.model import Answer
from everloop_runtime.signatures import ANYBODY, Trust
from everloop_runtime.trial import DEFAULT_TRIAL, TrialLimits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LOOK_EVERY = 0.1
_LONGEST_KEY = 256


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What a service needs to know."""

    routes: Path
    bundles: Path
    capture: Path
    limits: ImageLimits = field(default_factory=ImageLimits)
    threads: int = 1
    trust: Trust = ANYBODY
    """Whose bundles are served."""
    trial: TrialLimits = DEFAULT_TRIAL
    """What a bundle may take when it is opened first, in a process of its own."""
    rotate_seconds: float = 2.0
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    """Names by which clients may address it; a request for another is refused."""


class Service:
    """The state of one running service."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.instance = secrets.token_hex(8)
        self.fleet = Fleet(
            settings.routes,
            settings.bundles,
            admission=Admission(settings.trust, settings.trial, settings.limits),
            threads=settings.threads,
        )
        self.metrics = Metrics()
        self.capture: CaptureWriter | None = None
        self.served: Counter[str] = Counter()
        self.mirror: Mirror[tuple[_Record, NDArray[np.uint8]]] = Mirror(self._show)

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """Between start and stop: follow the routes; at the end seal what was captured."""
        settings = self.settings
        if settings.capture.is_dir():
            await asyncio.to_thread(seal_leftovers, settings.capture)
        self.capture = CaptureWriter(settings.capture, rotate_seconds=settings.rotate_seconds)
        await self.fleet.follow()
        follower = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follower
            await self.mirror.close()
            self.fleet.close()
            await asyncio.to_thread(self.capture.close)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            await self.fleet.follow()

    async def predict(self, request: Request) -> Response:
        """POST /v1/predict: one image, as the body or as the multipart field `file`."""
        data = await self._image_bytes(request)
        began = time.perf_counter()
        prediction = PredictionId(secrets.token_hex(16))
        key = request.headers.get("x-everloop-key", prediction)[:_LONGEST_KEY]
        seats = self.fleet.seats(key)
        if not seats:
            return _problem(
                503,
                "no model is loaded yet",
                "try again in a moment; GET /v1/status tells what is awaited",
                {"Retry-After": "1"},
            )
        # The champion's input is what all seats take: a canary is learnt for the same task.
        spec = seats[0].batcher.model.bundle.manifest.spec
        try:
            image = await asyncio.to_thread(to_array, data, spec, self.settings.limits)
        except NotAnImage as error:
            return _problem(415, str(error), "send a PNG, JPEG, WebP, BMP, GIF or TIFF picture")
        except Refused as error:
            return _problem(422, str(error), "send a whole picture within the limits")
        failed: list[tuple[Seat, str]] = []
        for seat in seats:
            record = _Record(prediction, sample_id(data), key, seat, began, data)
            answer = await self._answer(record, image)
            if isinstance(answer, str):
                failed.append((seat, answer))
                continue
            self._judge(seat, failed)
            self._copy(record, image)
            return JSONResponse(_told(prediction, seat, answer))
        return _problem(500, "the model failed on this image", "tell whoever runs this service")

    async def _answer(self, record: "_Record", image: "NDArray[np.uint8]") -> Answer | str:
        """The seat's answer, captured; or why its model failed, which is captured too."""
        try:
            answer = await asyncio.wait_for(record.seat.batcher.answer(image), record.seat.deadline)
        except (EverloopError, TimeoutError) as error:
            why = str(error) or f"it did not answer within {record.seat.deadline:g} s"
            await self._keep(record.captured(error=why))
            return why
        await self._keep(record.captured(answer=answer))
        return answer

    def _judge(self, seat: Seat, failed: list[tuple[Seat, str]]) -> None:
        """Failures count where another bundle could answer: then it was not the image."""
        self.fleet.answered(seat)
        for other, why in failed:
            self.fleet.missed(other, why)

    def _copy(self, record: "_Record", image: "NDArray[np.uint8]") -> None:
        shadow = self.fleet.shadow(record.key)
        if shadow is not None:
            busy = record.seat.batcher.waiting > 0
            self.mirror.offer((replace(record, seat=shadow), image), busy=busy)

    async def _show(self, copy: "tuple[_Record, NDArray[np.uint8]]") -> None:
        record = replace(copy[0], began=time.perf_counter())
        answer = await self._answer(record, copy[1])
        if isinstance(answer, str):
            self.fleet.missed(record.seat, answer)
        else:
            self.fleet.answered(record.seat)

    async def _keep(self, captured: Captured) -> None:
        assert self.capture is not None  # noqa: S101 - set by lifespan before any request
        await asyncio.to_thread(self.capture.append, captured)
        self.served[captured.role] += captured.status == "ok"
        short = captured.bundle[:12]
        self.metrics.requests.labels(short, captured.role, captured.status).inc()
        self.metrics.seconds.labels(short, captured.role).observe(captured.latency_ms / 1000)

    async def _image_bytes(self, request: Request) -> bytes:
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            return await self._multipart_bytes(request)
        return await request.body()

    async def _multipart_bytes(self, request: Request) -> bytes:
        most = self.settings.limits.max_bytes
        async with request.form(max_files=1, max_fields=10, max_part_size=most) as form:
            file = form.get("file")
            if file is None or isinstance(file, str):
                raise HTTPException(400, "the form has no file in a field called 'file'")
            return await file.read()

    async def status(self, _request: Request) -> Response:
        """GET /v1/status: what is loaded, applied and captured."""
        fleet = self.fleet
        routes = fleet.routes
        bundles = {b: {"state": "ready", "reason": None} for b in fleet.loaded}
        failed = {b: {"state": "failed", "reason": why} for b, why in fleet.failed.items()}
        return JSONResponse(
            {
                "instance": self.instance,
                "pid": os.getpid(),
                "ready": fleet.ready,
                "generation": fleet.generation,
                "complaint": fleet.complaint,
                "champion": routes.champion,
                "canary": routes.canary.model_dump() if routes.canary else None,
                "canary_live": fleet.lease_alive(),
                "shadow": routes.shadow.model_dump() if routes.shadow else None,
                "experiment": routes.experiment.model_dump() if routes.experiment else None,
                "fallback": routes.fallback,
                "warm": routes.warm,
                "live": sorted(fleet.live()),
                "mirror": {"shown": self.mirror.shown, "shed": self.mirror.shed},
                "bundles": {**bundles, **failed},
                "capture": {"dropped": self.capture.dropped if self.capture else 0},
                "served": dict(self.served),
            }
        )

    async def flush(self, _request: Request) -> Response:
        """POST /v1/flush: seal the open capture segment now."""
        assert self.capture is not None  # noqa: S101 - set by lifespan before any request
        await asyncio.to_thread(self.capture.seal)
        return JSONResponse({"flushed": True})

    async def live(self, _request: Request) -> Response:
        """GET /livez: the process answers."""
        return JSONResponse({"live": True})

    async def ready(self, _request: Request) -> Response:
        """GET /readyz: 200 once a champion is loaded, 503 before."""
        return JSONResponse({"ready": self.fleet.ready}, 200 if self.fleet.ready else 503)

    async def figures(self, _request: Request) -> Response:
        """GET /metrics: for Prometheus."""
        if self.capture is not None:
            self.metrics.dropped.set(self.capture.dropped)
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")


@dataclass(frozen=True, slots=True)
class _Record:
    """What is known of a request before it is answered."""

    prediction: PredictionId
    sample: SampleId
    key: str
    seat: Seat
    began: float
    image: bytes

    def captured(self, answer: Answer | None = None, error: str | None = None) -> Captured:
        """The whole record, timed now."""
        return Captured(
            prediction=self.prediction,
            sample=self.sample,
            bundle=self.seat.batcher.model.bundle.id,
            role=self.seat.role,
            key=self.key,
            at=time.time(),
            latency_ms=(time.perf_counter() - self.began) * 1000,
            status="error" if answer is None else "ok",
            error=error,
            label=answer.label if answer else None,
            confidence=answer.confidence if answer else None,
            probabilities=answer.probabilities if answer else (),
            embedding=answer.embedding if answer else (),
            image=self.image,
        )


def _told(prediction: PredictionId, seat: Seat, answer: Answer) -> dict[str, object]:
    manifest = seat.batcher.model.bundle.manifest
    return {
        "prediction_id": prediction,
        "label": answer.label,
        "confidence": answer.confidence,
        "probabilities": dict(zip(manifest.classes, answer.probabilities, strict=True)),
        "bundle": seat.batcher.model.bundle.id,
        "role": seat.role,
        **({"variant": seat.variant} if seat.variant else {}),
    }


def _problem(
    code: int, message: str, remedy: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    told = {"error": {"code": code, "message": message, "remedy": remedy}}
    return JSONResponse(told, code, headers)


def create_app(settings: ServiceSettings) -> Starlette:
    """The service as an ASGI application."""
    service = Service(settings)

    async def failed(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
        service.metrics.refused.labels(str(error.status_code)).inc()
        remedy = "POST an image to /v1/predict"
        return _problem(error.status_code, str(error.detail), remedy, dict(error.headers or {}))

    async def gone(_request: Request, _error: Exception) -> Response:
        return _problem(400, "the client went away before its body was whole", "send it again")

    app = Starlette(
        routes=[
            Route("/v1/predict", service.predict, methods=["POST"]),
            Route("/v1/status", service.status, methods=["GET"]),
            Route("/v1/flush", service.flush, methods=["POST"]),
            Route("/livez", service.live, methods=["GET"]),
            Route("/readyz", service.ready, methods=["GET"]),
            Route("/metrics", service.figures, methods=["GET"]),
        ],
        exception_handlers={HTTPException: failed, ClientDisconnect: gone},
        lifespan=service.lifespan,
    )
    # A multipart frame around the largest image costs a little more than the image.
    most = settings.limits.max_bytes + 65_536
    app.add_middleware(Guard, hosts=settings.hosts, max_bytes=most)
    app.state.service = service
    return app
