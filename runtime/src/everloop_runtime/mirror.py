"""Copies of requests for a shadow: beside the answering, and the first thing to be dropped."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Copy = TypeVar("Copy")

_DEPTH = 64


class Mirror(Generic[Copy]):
    """A short queue of copies. What finds it full is shed: a shadow never slows an answer."""

    def __init__(self, show: Callable[[Copy], Awaitable[None]], depth: int = _DEPTH) -> None:
        """`show`: has the shadow answer one copy and captures it; it raises nothing."""
        self._show = show
        self._copies: asyncio.Queue[Copy] = asyncio.Queue(depth)
        self._worker: asyncio.Task[None] | None = None
        self.shown = 0
        """Copies that the shadow was asked about."""
        self.shed = 0
        """Copies that were dropped."""

    def offer(self, copy: Copy, *, busy: bool = False) -> bool:
        """Take a copy in, unless the queue is full or the service is `busy`; whether it was."""
        if busy or self._copies.full():
            self.shed += 1
            return False
        self._copies.put_nowait(copy)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.get_running_loop().create_task(self._work())
        return True

    async def _work(self) -> None:
        while not self._copies.empty():
            copy = self._copies.get_nowait()
            self.shown += 1
            await self._show(copy)

    async def close(self) -> None:
        """Drop what waits; what the shadow is at is awaited no longer."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
