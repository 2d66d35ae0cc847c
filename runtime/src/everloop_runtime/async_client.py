"""The client of the prediction service for asyncio."""

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from everloop_runtime.calls import (
    Again,
    Calls,
    Options,
    Prediction,
    Sample,
    Statement,
    Wrong,
    feedback_body,
    halves,
    many_samples,
    many_statements,
    one_sample,
    prediction,
    predictions,
)
from everloop_runtime.errors import Refused
from everloop_runtime.ids import Json


class AsyncClient(Calls):
    """As `Client`, for asyncio."""

    def __init__(self, url: str, **options: Unpack[Options]) -> None:
        super().__init__(url, **options)
        import httpx

        self._http = httpx.AsyncClient(**self._options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def predict(self, sample: Sample, *, key: str | None = None) -> Prediction:
        """The answer for an image file's bytes, or for a row by its columns.

        The same `key` is answered by the same bundle.
        """
        return prediction(await self._send("POST", "/v1/predict", **one_sample(sample, key)))

    async def search(self, sample: Sample, *, key: str | None = None) -> Prediction:
        """What is most like a sample: its `told` has the `hits`. As `predict` otherwise."""
        return prediction(await self._send("POST", "/v1/search", **one_sample(sample, key)))

    async def predict_many(
        self,
        samples: Sequence[Sample],
        *,
        key: str | None = None,
        batch: int = 32,
        at_once: int = 4,
    ) -> list[Prediction | Refused]:
        """The answers for samples in their order; `at_once` requests of `batch` samples each."""
        room = asyncio.Semaphore(at_once)

        async def some(part: Sequence[Sample]) -> list[Prediction | Refused]:
            async with room:
                return predictions(
                    await self._send("POST", "/v1/predict", **many_samples(part, key))
                )

        parts = [samples[at : at + batch] for at in range(0, len(samples), batch)]
        return [one for found in await asyncio.gather(*map(some, parts)) for one in found]

    async def feedback(self, prediction: str, kind: str, value: Json) -> None:
        """Tell what became known of an answer: its `label`, a `correction`, or an `event`."""
        await self._send("POST", "/v1/feedback", **feedback_body(prediction, kind, value))

    async def feedback_many(
        self, statements: Sequence[Statement], *, batch: int = 500, at_once: int = 4
    ) -> list[Refused | None]:
        """Tell what became known of many answers; `at_once` requests of `batch` each.

        For each in its order: None once the service keeps it, or why it was refused.
        """
        room = asyncio.Semaphore(at_once)

        async def some(part: Sequence[Statement]) -> list[Refused | None]:
            async with room:
                return await self._tell(part)

        parts = [statements[at : at + batch] for at in range(0, len(statements), batch)]
        return [one for found in await asyncio.gather(*map(some, parts)) for one in found]

    async def _tell(self, some: Sequence[Statement]) -> list[Refused | None]:
        try:
            await self._send("POST", "/v1/feedback", **many_statements(some))
        except Wrong as error:
            told = [one for half in halves(some, error) for one in await self._tell(half)]
            return told or [error]
        return [None] * len(some)

    async def status(self) -> Mapping[str, Any]:
        """What the service says of itself."""
        return await self._send("GET", "/v1/status")

    async def _send(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        attempt = 0
        while True:
            try:
                try:
                    response = await self._http.request(method, path, **options)
                except self._transport_error as error:
                    raise Again(f"{self.url} did not answer: {error}") from error
                return self.read(path, response)
            except Again as error:
                await asyncio.sleep(self.pause(attempt, error))
            attempt += 1
