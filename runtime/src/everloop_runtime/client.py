"""Clients of the prediction service: `Client`, which waits, and `AsyncClient` for asyncio."""

import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from everloop_runtime.async_client import AsyncClient
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
from everloop_runtime.errors import EverloopError, Refused, Unavailable
from everloop_runtime.ids import Json

__all__ = ["AsyncClient", "Client", "Prediction", "Sample", "Statement"]


class Client(Calls):
    """Talks to one service. `retries`: how often a failed request is sent again, with pauses.

    Raises `Unavailable` when the service does not answer, fails or is busy (429), `Refused` when
    it says the request is wrong, with the service's own explanation. A pause is random and
    grows; where the service says Retry-After, it is at least that long.
    """

    def __init__(self, url: str, **options: Unpack[Options]) -> None:
        super().__init__(url, **options)
        import httpx

        self._http = httpx.Client(**self._options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def predict(self, sample: Sample, *, key: str | None = None) -> Prediction:
        """The answer for an image file's bytes, or for a row by its columns.

        The same `key` is answered by the same bundle.
        """
        return prediction(self._send("POST", "/v1/predict", **one_sample(sample, key)))

    def search(self, sample: Sample, *, key: str | None = None) -> Prediction:
        """What is most like a sample: its `told` has the `hits`. As `predict` otherwise."""
        return prediction(self._send("POST", "/v1/search", **one_sample(sample, key)))

    def predict_many(
        self, samples: Sequence[Sample], *, key: str | None = None, batch: int = 32
    ) -> Iterator[Prediction | Refused]:
        """The answers for samples in their order, `batch` samples a request.

        A sample that is refused has a `Refused` in its place.
        """
        for at in range(0, len(samples), batch):
            told = self._send("POST", "/v1/predict", **many_samples(samples[at : at + batch], key))
            yield from predictions(told)

    def feedback(self, prediction: str, kind: str, value: Json) -> None:
        """Tell what became known of an answer: its `label`, a `correction`, or an `event`."""
        self._send("POST", "/v1/feedback", **feedback_body(prediction, kind, value))

    def feedback_many(
        self, statements: Sequence[Statement], *, batch: int = 500
    ) -> Iterator[Refused | None]:
        """Tell what became known of many answers, `batch` of them a request (at most 1000).

        For each in its order: None once the service keeps it, or why it was refused. Telling
        again what was told changes nothing.
        """
        for at in range(0, len(statements), batch):
            yield from self._tell(statements[at : at + batch])

    def _tell(self, some: Sequence[Statement]) -> list[Refused | None]:
        try:
            self._send("POST", "/v1/feedback", **many_statements(some))
        except Wrong as error:
            return [told for half in halves(some, error) for told in self._tell(half)] or [error]
        return [None] * len(some)

    def status(self) -> Mapping[str, Any]:
        """What the service says of itself."""
        return self._send("GET", "/v1/status")

    def flush(self) -> None:
        """Have the service seal its open capture segments now."""
        self._send("POST", "/v1/flush")

    def wait_ready(self, seconds: float) -> None:
        """Return once the service is ready; `Unavailable` with its reason if it is not in time.

        A bundle that the service refused is final: it is told at once.
        """
        deadline = time.monotonic() + seconds
        reason = "no answer"
        while time.monotonic() < deadline:
            try:
                status = self.status()
            except EverloopError as error:
                reason = str(error)
            else:
                failed = [b["reason"] for b in status["bundles"].values() if b["state"] == "failed"]
                if failed:
                    raise Unavailable(f"the service will not become ready: {failed[0]}")
                if status["ready"]:
                    return
                reason = "no model is loaded yet"
            time.sleep(0.05)
        raise Unavailable(f"the service was not ready within {seconds:g} s: {reason}")

    def _send(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        attempt = 0
        while True:
            try:
                try:
                    response = self._http.request(method, path, **options)
                except self._transport_error as error:
                    raise Again(f"{self.url} did not answer: {error}") from error
                return self.read(path, response)
            except Again as error:
                time.sleep(self.pause(attempt, error))
            attempt += 1
