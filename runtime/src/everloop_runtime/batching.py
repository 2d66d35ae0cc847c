"""Micro-batches: what arrives together is answered by one run of the model.

Nobody waits for a batch to fill. A quick model (`_QUICK` a run) is run in the event loop, over
what arrived in one turn of it: a thread would cost more than the model. A slow one is run in a
thread of its own, over what arrived during its last run, in batches of at most `_LONGEST`: on a
processor larger batches of a slow model gain nothing and make everybody in them wait.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from everloop_runtime.errors import EverloopError, Refused
from everloop_runtime.model import Model, Outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop_runtime.bundle import Bundle

_LARGEST = 64
_QUICK = 0.002
_LONGEST = 0.004

Ask = TypeVar("Ask", contravariant=True)


class Sink(Protocol[Ask]):
    """Who wants to hear the answers."""

    def answered(self, asks: Sequence[Ask], outputs: Outputs, seconds: float) -> None:
        """One row of the outputs an ask; the run took `seconds`."""
        ...

    def failed(self, asks: Sequence[Ask], error: EverloopError) -> None:
        """The model failed on these."""
        ...


class Predicting(Protocol):
    """A loaded bundle, in this process or in another."""

    bundle: "Bundle"

    def predict(self, inputs: "NDArray[Any]") -> Outputs:
        """The outputs for decoded samples."""
        ...


@dataclass(slots=True)
class _Waiting:
    taken: "NDArray[Any]"
    ask: Any
    sink: Sink[Any]


@dataclass(slots=True)
class _Done:
    """What a run, or a part of it, came to."""

    asked: list[_Waiting]
    outputs: Outputs | EverloopError
    seconds: float


class Batcher:
    """Runs one model."""

    def __init__(self, model: Predicting) -> None:
        self.model = model
        self.spec = model.bundle.manifest.spec
        """What it takes."""
        self.seconds = 0.0
        """What one sample costs, by the latest runs."""
        # Neither a bundle in another process nor a loop may stop the event loop.
        self._may_run_here = isinstance(model, Model) and model.is_bounded
        self._waiting: deque[_Waiting] = deque()
        self._busy = False
        self._thread: ThreadPoolExecutor | None = None
        self._calm = asyncio.Event()
        self._calm.set()

    @property
    def waiting(self) -> int:
        """Samples that wait for the model's next run."""
        return len(self._waiting)

    async def idle(self) -> None:
        """Return once nothing that was handed in is unanswered."""
        await self._calm.wait()

    def submit(self, taken: "NDArray[Any]", ask: Ask, sink: Sink[Ask]) -> None:
        """Have one decoded sample answered, `[*spec.shape]`; the sink is told in the event loop."""
        self._waiting.append(_Waiting(taken, ask, sink))
        if not self._busy:
            self._busy = True
            self._calm.clear()
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        size = min(len(self._waiting), self._most())
        batch = [self._waiting.popleft() for _ in range(size)]
        if self._may_run_here and 0 < size * self.seconds <= _QUICK:
            self._finish(self._work(batch))
            return
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="model")
        run = asyncio.get_running_loop().run_in_executor(self._thread, self._work, batch)
        run.add_done_callback(lambda done: self._finish(done.result()))

    def _most(self) -> int:
        if not self.seconds:
            return 1
        return max(1, min(_LARGEST, int(_LONGEST / self.seconds)))

    def _work(self, batch: list[_Waiting]) -> list[_Done]:
        done = self._run_once(batch)
        if len(batch) == 1 or isinstance(done.outputs, Outputs):
            return [done]
        # One sample may be at fault: each is tried alone, so that the others are answered.
        return [self._run_once([one]) for one in batch]

    def _run_once(self, batch: list[_Waiting]) -> _Done:
        import numpy as np

        began = time.perf_counter()
        outputs: Outputs | EverloopError
        try:
            taken = np.concatenate([one.taken for one in batch])
            outputs = self.model.predict(taken.reshape(len(batch), *batch[0].taken.shape))
        except EverloopError as error:
            outputs = error
        except Exception as error:  # noqa: BLE001 - handed to everyone who waits for it
            outputs = Refused(f"the model failed: {str(error)[:300]}")
        return _Done(batch, outputs, time.perf_counter() - began)

    def _finish(self, results: list[_Done]) -> None:
        for done in results:
            each = done.seconds / len(done.asked)
            # The first run is slower than those that follow; later ones count for a fifth.
            self.seconds = self.seconds + (each - self.seconds) / 5 if self.seconds else each
            _tell(done)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._run)
        else:
            self._busy = False
            self._calm.set()


def _tell(done: _Done) -> None:
    first = done.asked[0].sink
    if all(one.sink is first for one in done.asked):
        _tell_one(first, [one.ask for one in done.asked], done.outputs, done.seconds)
        return
    for sink in {id(one.sink): one.sink for one in done.asked}.values():
        mine = [at for at, one in enumerate(done.asked) if one.sink is sink]
        given = done.outputs
        rows = given.rows(mine) if isinstance(given, Outputs) else given
        _tell_one(sink, [done.asked[at].ask for at in mine], rows, done.seconds)


def _tell_one(
    sink: Sink[Any], asks: list[Any], outputs: Outputs | EverloopError, seconds: float
) -> None:
    if isinstance(outputs, Outputs):
        sink.answered(asks, outputs, seconds)
    else:
        sink.failed(asks, outputs)
