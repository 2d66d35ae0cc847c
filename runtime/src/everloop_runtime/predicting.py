"""The way of one sample: seats, what the model sees of it, model, capture, answer."""

import asyncio
import functools
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec

from everloop_runtime.capture import AnswerBatch
from everloop_runtime.errors import EverloopError, Refused
from everloop_runtime.fleet import Fleet, Seat
from everloop_runtime.ids import BundleId, PredictionId
from everloop_runtime.images import ImageLimits, ImageSpec, NotAnImage, is_light, plain_jpeg
from everloop_runtime.metrics import Figures
from everloop_runtime.mirror import Mirror
from everloop_runtime.outbox import Outbox
from everloop_runtime.problems import Problem, unavailable
from everloop_runtime.rows import NotARow
from everloop_runtime.samples import to_input
from everloop_runtime.segments import Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from everloop_runtime.model import Outputs

_encode = msgspec.json.Encoder().encode
_POOL = 2
_LIGHT_PIXELS = 65_536
"""A plain JPEG of so many is decoded in the event loop."""
_IDS_AT_ONCE = 256
_NO_NUMBER = "the model gave an answer that is not a number"


class Ask:
    """One sample on its way to an answer."""

    __slots__ = (
        "at",
        "began",
        "data",
        "done",
        "failures",
        "key",
        "prediction",
        "problem",
        "row",
        "seats",
        "taken",
        "timer",
        "told",
    )

    def __init__(self, data: bytes, key: str | None, prediction: str, done: "Done") -> None:
        self.data = data
        """The original bytes."""
        self.prediction = PredictionId(prediction)
        self.key = key if key is not None else prediction
        self.done = done
        self.began = time.perf_counter()
        self.seats: Sequence[Seat] = ()
        self.at = 0
        """The seat whose turn it is."""
        self.taken: NDArray[Any] | None = None
        """What the model sees of it, `[*spec.shape]`."""
        self.failures: tuple[tuple[Seat, str], ...] = ()
        self.timer: asyncio.TimerHandle | None = None
        self.told = b""
        """The answer as JSON, once there is one."""
        self.row: NDArray[np.float32] | None = None
        """The numbers of the answer, `[*shape]`."""
        self.problem: Problem | None = None
        """Why there is no answer."""

    @property
    def seat(self) -> Seat:
        """Who is to answer now."""
        return self.seats[self.at]


Done = Callable[[Ask], None]


class Predictor:
    """Takes images to their answers; everything happens in the event loop unless it is slow."""

    def __init__(self, fleet: Fleet, outbox: Outbox, figures: Figures, limits: ImageLimits) -> None:
        self.fleet = fleet
        self._outbox = outbox
        self._figures = figures
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(_POOL, thread_name_prefix="decode")
        self._ids: list[str] = []
        self._open: dict[Ask, None] = {}
        """What is on its way, oldest first."""
        self._decodings: list[float] = []
        """Seconds, since the last run of a model."""
        self.mirror: Mirror[Ask] = Mirror(self._show)
        self.served: dict[str, int] = {}
        """Answers by role."""

    def new_id(self) -> str:
        """A new prediction id: 32 hex digits that nobody can guess."""
        if not self._ids:
            # One call of the system for many.
            some = os.urandom(16 * _IDS_AT_ONCE).hex()
            self._ids = [some[at : at + 32] for at in range(0, len(some), 32)]
        return self._ids.pop()

    def predict(
        self, data: bytes, key: str | None, done: Done, *, champion_only: bool = False
    ) -> Ask:
        """Have a sample's bytes answered; `done` is called with the ask, now or later."""
        ask = Ask(data, key, self.new_id(), done)
        self._open[ask] = None
        if not self._seated(ask, champion_only=champion_only):
            return ask
        began = time.perf_counter()
        spec = ask.seats[0].batcher.spec
        if isinstance(spec, ImageSpec) and spec.height * spec.width <= _LIGHT_PIXELS:
            pixels = plain_jpeg(data, spec, self._limits)
            if pixels is not None:
                self._decoded(ask, pixels, time.perf_counter() - began)
                return ask
        if isinstance(spec, ImageSpec) and not is_light(data):
            self._loop.run_in_executor(self._pool, self._pixels, ask).add_done_callback(
                lambda found: self._decoded(ask, *found.result())
            )
        else:
            self._decoded(ask, *self._pixels(ask))
        return ask

    def predict_pixels(
        self,
        pixels: "NDArray[np.uint8]",
        data: bytes,
        key: str | None,
        done: Done,
        *,
        champion_only: bool = False,
    ) -> Ask:
        """Have pixels `[H, W, C]` answered; `data` is a file that holds just them."""
        ask = Ask(data, key, self.new_id(), done)
        self._open[ask] = None
        if self._seated(ask, champion_only=champion_only):
            ask.taken = pixels
            self._submit(ask)
        return ask

    def _seated(self, ask: Ask, *, champion_only: bool) -> bool:
        ask.seats = self.fleet.seats(ask.key)
        if champion_only:
            ask.seats = [seat for seat in ask.seats if seat.role == "champion"]
        if ask.seats:
            return True
        remedy = "try again in a moment; GET /v1/status tells what is awaited"
        self._end(ask, unavailable("no model is loaded yet", remedy))
        return False

    def _end(self, ask: Ask, problem: Problem | None = None) -> None:
        ask.problem = problem
        self._open.pop(ask, None)
        ask.done(ask)

    def expire(self, seconds: float) -> None:
        """Give up on what was asked so long ago and has no answer."""
        oldest = time.perf_counter() - seconds
        for ask in list(self._open):
            if ask.began > oldest:
                return
            ask.at = len(ask.seats)
            self._end(ask, unavailable(f"there was no answer within {seconds:g} s"))

    @property
    def waiting(self) -> int:
        """Images on their way."""
        return len(self._open)

    def _pixels(self, ask: Ask) -> "tuple[NDArray[Any] | Problem, float]":
        # The champion's input is what all seats take: a canary is learnt for the same task.
        spec = ask.seats[0].batcher.spec
        began = time.perf_counter()
        try:
            pixels = to_input(ask.data, spec, self._limits)
        except NotAnImage as error:
            remedy = "send a PNG, JPEG, WebP, BMP, GIF or TIFF picture"
            return Problem(415, str(error), remedy), 0.0
        except NotARow as error:
            return Problem(415, str(error), 'send JSON such as {"row": {"column": 1.5}}'), 0.0
        except Refused as error:
            remedy = "send a whole picture within the limits"
            if not isinstance(spec, ImageSpec):
                remedy = "GET /openapi.json tells the columns"
            return Problem(422, str(error), remedy), 0.0
        return pixels, time.perf_counter() - began

    def _decoded(self, ask: Ask, pixels: "NDArray[Any] | Problem", seconds: float) -> None:
        if ask.problem is not None:
            return
        if isinstance(pixels, Problem):
            self._end(ask, pixels)
            return
        self._decodings.append(seconds)
        ask.taken = pixels
        self._submit(ask)

    def _submit(self, ask: Ask) -> None:
        seat = ask.seat
        assert ask.taken is not None  # noqa: S101 - decoded before it is submitted
        if seat.deadline is not None:
            ask.timer = self._loop.call_later(seat.deadline, self._overdue, ask, ask.at)
        seat.batcher.submit(ask.taken, (ask, ask.at), self)

    def _overdue(self, ask: Ask, at: int) -> None:
        if ask.at == at and not ask.told:
            self._missed(ask, f"it did not answer within {ask.seat.deadline:g} s")

    # What the batcher tells.

    def answered(self, asks: Sequence[tuple[Ask, int]], outputs: "Outputs", seconds: float) -> None:
        """Capture and send the answers of one run."""
        import numpy as np

        short = asks[0][0].seats[asks[0][1]].bundle[:12]
        self._figures.observe("everloop_model_seconds", (short,), (seconds,))
        self._figures.observe("everloop_batch_images", (short,), (len(asks),))
        self._figures.observe("everloop_decode_seconds", (), self._decodings)
        self._decodings.clear()
        flat = outputs.values.reshape(len(asks), -1)
        fine: list[bool] = np.asarray(np.isfinite(flat).all(axis=1)).tolist()
        current = [ask.at == at and not ask.told for ask, at in asks]
        if not all(fine) or not all(current):
            for (ask, _), is_fine, is_current in zip(asks, fine, current, strict=True):
                if is_current and not is_fine:
                    self._missed(ask, _NO_NUMBER)
            left = [n for n in range(len(asks)) if fine[n] and current[n]]
            if not left:
                return
            asks, outputs = [asks[n] for n in left], outputs.rows(left)
        self._answer([ask for ask, _ in asks], outputs)

    def failed(self, asks: Sequence[tuple[Ask, int]], error: EverloopError) -> None:
        """The model failed on these: the next seat's turn."""
        for ask, at in asks:
            if ask.at == at and not ask.told:
                self._missed(ask, str(error))

    def _answer(self, asks: list[Ask], outputs: "Outputs") -> None:
        first = asks[0].seat
        now, clock = time.time(), time.perf_counter()
        told = first.batcher.model.bundle.answers.tell(outputs.values)
        outbox, keeps_all = self._outbox, self._outbox.keeps_all
        rows, images, kept, latencies = [], [], [], []
        seat, end = first, _end_of_answer(first)
        for at, (ask, (label, confidence, body)) in enumerate(zip(asks, told, strict=True)):
            if ask.seat is not seat:
                seat, end = ask.seat, _end_of_answer(ask.seat)
            if ask.timer is not None:
                ask.timer.cancel()
            ask.told = b'{"prediction_id":"%b",%b%b' % (ask.prediction.encode(), body, end)
            ask.row = outputs.values[at]
            latency = clock - ask.began
            latencies.append(latency)
            if keeps_all or outbox.wants(int(ask.prediction[:8], 16)):
                rows.append(
                    Row(ask.prediction, None, seat.role, ask.key, now, latency * 1000,
                        None, label, confidence)
                )  # fmt: skip
                images.append(ask.data)
                kept.append(at)
        self._count(asks, latencies)
        if not rows:
            self._send(asks)
            return
        if len(kept) < len(asks):
            outputs = outputs.rows(kept)
        flat = outputs.values.reshape(len(rows), -1)
        batch = AnswerBatch(first.bundle, rows, images, flat, outputs.embeddings)
        outbox.put(batch, functools.partial(self._send, asks))

    def _count(self, asks: list[Ask], latencies: list[float]) -> None:
        roles: dict[str, list[float]] = {}
        for ask, latency in zip(asks, latencies, strict=True):
            roles.setdefault(ask.seats[ask.at].role, []).append(latency)
        short = asks[0].seat.bundle[:12]
        for role, those in roles.items():
            self.served[role] = self.served.get(role, 0) + len(those)
            self._figures.count("everloop_requests", (short, role, "ok"), len(those))
            self._figures.observe("everloop_request_seconds", (short, role), those)

    def _send(self, asks: list[Ask]) -> None:
        fleet = self.fleet
        # Most of the time nobody has failed and nobody looks on.
        is_calm = not fleet.has_failed and fleet.routes.shadow is None
        for ask in asks:
            if ask.problem is not None:
                continue
            if not is_calm or ask.failures:
                self._credit(ask)
            self._open.pop(ask, None)
            ask.done(ask)
            if not is_calm and ask.seat.role != "shadow":
                self._copy(ask)

    def _credit(self, ask: Ask) -> None:
        # Failures count where another bundle could answer: then it was not the image.
        self.fleet.answered(ask.seat)
        for seat, why in ask.failures:
            self.fleet.missed(seat, why)

    def _missed(self, ask: Ask, why: str) -> None:
        """This seat has no answer: that is captured, and the next one is asked."""
        seat = ask.seat
        ask.failures += ((seat, why),)
        row = Row(ask.prediction, None, seat.role, ask.key, time.time(),
                  (time.perf_counter() - ask.began) * 1000, why)  # fmt: skip
        self._figures.count("everloop_requests", (seat.bundle[:12], seat.role, "error"))
        ask.at += 1
        self._outbox.put(AnswerBatch(seat.bundle, [row], [ask.data]), lambda: self._go_on(ask))

    def _go_on(self, ask: Ask) -> None:
        if ask.problem is not None:
            return
        if ask.at < len(ask.seats):
            self._submit(ask)
            return
        remedy = "tell whoever runs this service"
        self._end(ask, Problem(500, "the model failed on this image", remedy))

    # Shadows.

    def _copy(self, ask: Ask) -> None:
        shadow = self.fleet.shadow(ask.key)
        if shadow is not None:
            busy = ask.seat.batcher.waiting > 0
            copy = Ask(ask.data, ask.key, ask.prediction, ask.done)
            copy.taken, copy.seats = ask.taken, (shadow,)
            self.mirror.offer(copy, busy=busy)

    async def _show(self, copy: Ask) -> None:
        shown = asyncio.Event()
        copy.done = lambda _: shown.set()
        copy.began = time.perf_counter()
        self._submit(copy)
        await shown.wait()
        if copy.problem is not None:
            for seat, why in copy.failures:
                self.fleet.missed(seat, why)

    async def close(self) -> None:
        """Drop the shadow's queue and the threads."""
        await self.mirror.close()
        self._pool.shutdown(wait=False)


@functools.lru_cache(maxsize=256)
def _tail(bundle: BundleId, role: str, variant: str | None) -> bytes:
    named = b"" if variant is None else b',"variant":' + _encode(variant)
    return b',"bundle":%b,"role":%b%b}' % (_encode(bundle), _encode(role), named)


def _end_of_answer(seat: Seat) -> bytes:
    """What an answer's JSON ends with, whatever was asked."""
    return _tail(seat.bundle, seat.role, seat.variant)
