"""The Open Inference Protocol's addresses, answered by the same models, routes and capture."""

import asyncio
import functools
from collections.abc import Awaitable
from dataclasses import dataclass

import msgspec

from everloop_runtime import v2
from everloop_runtime.fleet import Fleet, Seat
from everloop_runtime.guard import Room
from everloop_runtime.head import Request
from everloop_runtime.images import to_png
from everloop_runtime.inputs import LONGEST_KEY
from everloop_runtime.predicting import Ask, Predictor
from everloop_runtime.problems import Problem, unavailable

_LIGHT = 65_536


@dataclass(frozen=True, slots=True)
class Address:
    """What a path below /v2/models asks for."""

    model: str
    version: str | None
    action: str
    """`infer`, `ready`, or nothing for the metadata."""


def parse(path: str) -> Address | None:
    """The address in `/v2/models/NAME[/versions/VERSION][/infer|/ready]`; None for another."""
    parts = path.split("/")[3:]
    if not path.startswith("/v2/models/") or not parts[0]:
        return None
    version = None
    if len(parts) > 2 and parts[1] == "versions":
        version, parts = parts[2], [parts[0], *parts[3:]]
    action = parts[1] if len(parts) > 1 else ""
    if len(parts) > 2 or action not in {"", "infer", "ready"}:
        return None
    return Address(parts[0], version, action)


class Protocol:
    """Answers requests below /v2."""

    def __init__(self, fleet: Fleet, room: Room, predictor: Predictor, max_bytes: int) -> None:
        self._fleet = fleet
        self._room = room
        self._predictor = predictor
        self._max_bytes = max_bytes

    def methods(self, path: str) -> str | None:
        """The method that a path takes; None when there is nothing."""
        if path in {"/v2", "/v2/", "/v2/health/live", "/v2/health/ready"}:
            return "GET"
        address = parse(path)
        if address is None:
            return None
        return "POST" if address.action == "infer" else "GET"

    def answer(self, request: Request, *, ready: bool) -> "Awaitable[None] | None":
        """Answer a request whose path and method are right. Raises `Problem`."""
        path = request.path
        if path == "/v2/health/live":
            request.answer(200, b'{"live":true}')
        elif path == "/v2/health/ready":
            request.answer(200 if ready else 503, b"")
        elif path in {"/v2", "/v2/"}:
            told = {"name": "everloop", "version": "0.1.0", "extensions": v2.EXTENSIONS}
            request.answer(200, msgspec.json.encode(told))
        else:
            address = parse(path)
            assert address is not None  # noqa: S101 - `methods` has found it
            return self._of_model(request, address)
        return None

    def _of_model(self, request: Request, address: Address) -> "Awaitable[None] | None":
        seat = self._champion(address)
        if address.action == "ready":
            request.answer(200, b"")
        elif address.action == "":
            told = v2.model_metadata(address.model, seat.batcher.model.bundle)
            request.answer(200, msgspec.json.encode(told))
        else:
            return self._infer(request, address, seat)
        return None

    def _champion(self, address: Address) -> Seat:
        seats = [seat for seat in self._fleet.seats("") if seat.role == "champion"]
        if not seats:
            raise unavailable("no model is loaded yet")
        name = seats[0].batcher.model.bundle.manifest.product
        if address.model != name:
            told = f"there is no model {address.model[:50]!r}"
            raise Problem(404, told, f"the model is called {name}")
        if address.version is not None and address.version != seats[0].bundle:
            told = f"there is no version {address.version[:80]!r}"
            raise Problem(404, told, f"ask for {seats[0].bundle}, or for none")
        return seats[0]

    async def _infer(self, request: Request, address: Address, seat: Seat) -> None:
        infer = v2.read_infer(request, seat.batcher.model.bundle, self._max_bytes)
        if problem := self._room.enter(request.client):
            raise problem
        try:
            asks = await self._ask(infer, request, champion_only=address.version is not None)
        finally:
            self._room.leave(request.client)
        for ask in asks:
            if ask.problem is not None:
                raise ask.problem
        body, lines, kind = v2.answer(infer, address.model, asks)
        request.answer(200, body, lines, kind)

    async def _ask(self, infer: v2.Infer, request: Request, *, champion_only: bool) -> list[Ask]:
        given = request.headers.get(b"x-everloop-key")
        # One key for all, so that one bundle answers the whole request.
        key = self._predictor.new_id() if given is None else given[:LONGEST_KEY].decode("latin-1")
        loop = asyncio.get_running_loop()
        done: list[asyncio.Future[Ask]] = []

        def told(future: "asyncio.Future[Ask]", ask: Ask) -> None:
            if not future.done():
                future.set_result(ask)

        def when_done() -> "functools.partial[None]":
            done.append(loop.create_future())
            return functools.partial(told, done[-1])

        ask_for = functools.partial(self._predictor.predict, champion_only=champion_only)
        for file in infer.files:
            ask_for(file, key, when_done())
        if infer.pixels is not None:
            images = list(infer.pixels)
            light = infer.pixels.size <= _LIGHT
            pngs = (
                [to_png(image) for image in images]
                if light
                else await asyncio.to_thread(lambda: [to_png(image) for image in images])
            )
            for image, png in zip(images, pngs, strict=True):
                self._predictor.predict_pixels(
                    image, png, key, when_done(), champion_only=champion_only
                )
        return await asyncio.gather(*done)
