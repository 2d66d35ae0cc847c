"""Micro-batches: what arrives while the model runs is answered together by its next run."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from everloop_runtime.model import Answer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from everloop_runtime.bundle import Bundle

_LARGEST = 32


class Answering(Protocol):
    """A loaded bundle, in this process or in another."""

    bundle: "Bundle"

    def answers(self, images: "NDArray[np.uint8]") -> list[Answer]:
        """One answer an image, uint8 `[N, H, W, C]`."""
        ...


class Batcher:
    """Runs one model; nobody waits for a batch to fill."""

    def __init__(self, model: Answering) -> None:
        self.model = model
        self._waiting: list[tuple[NDArray[np.uint8], asyncio.Future[Answer]]] = []
        self._running: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def answer(self, image: "NDArray[np.uint8]") -> Answer:
        """The answer for one image, uint8 `[H, W, C]`. Raises what the model raises."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((image, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await future

    @property
    def waiting(self) -> int:
        """Images that wait for the model's next run."""
        return len(self._waiting)

    async def idle(self) -> None:
        """Return once nothing that was handed in is unanswered."""
        while self._running is not None and not self._running.done():
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        import numpy as np

        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting[:_LARGEST], self._waiting[_LARGEST:]
            images = np.stack([image for image, _ in batch])
            try:
                answers = await loop.run_in_executor(self._thread, self.model.answers, images)
            except Exception as error:  # noqa: BLE001 - handed to everyone who waits for it
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
