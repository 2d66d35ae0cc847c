"""Clients of the prediction service: one that waits, and one for asyncio."""

import asyncio
import base64
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from everloop_runtime.errors import EverloopError, Refused, Unavailable
from everloop_runtime.ids import BundleId, Json, PredictionId

if TYPE_CHECKING:
    import httpx

_SERVER_ERROR = 500
_CLIENT_ERROR = 400
_TOO_MANY, _TOO_LATE = 429, 408
_LONGEST_PAUSE = 5.0
_LONGEST_ASKED = 60.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer of the service."""

    prediction_id: PredictionId
    label: str
    """The class; empty where answers are no single class."""
    confidence: float
    """NaN where the kind of answer has none."""
    probabilities: Mapping[str, float]
    """By class; empty where answers are no probabilities."""
    bundle: BundleId
    role: str
    """Who answered: `champion`, `canary`, `variant` or `fallback`."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """The whole answer: `labels`, `hits`, `boxes` or `value`, by its kind."""


Sample: TypeAlias = "bytes | Mapping[str, Any]"
"""An image file's bytes, or a row by its columns."""


class _Again(Unavailable):
    """Worth another try; `after`: the seconds that the service asked for."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class _Calls:
    """What both clients have in common: requests, and what their answers mean."""

    def __init__(self, url: str, retries: int, headers: Mapping[str, str]) -> None:
        self.url = url
        self._retries = retries
        self._headers = dict(headers)

    def _pause(self, attempt: int, error: _Again) -> float:
        """Seconds before the next try; raises the error when there is none."""
        if attempt >= self._retries:
            raise error
        # Full jitter, so that clients that failed together do not return together.
        pause = random.uniform(0, min(_LONGEST_PAUSE, 0.1 * 2**attempt))  # noqa: S311
        return pause if error.after is None else min(error.after, _LONGEST_ASKED) + pause

    def _read(self, path: str, response: "httpx.Response") -> dict[str, Any]:
        if response.status_code < _CLIENT_ERROR:
            told: dict[str, Any] = response.json()
            return told
        message = f"{self.url}{path} answered {response.status_code}: {response.text[:300]}"
        if response.status_code >= _SERVER_ERROR or response.status_code in {_TOO_MANY, _TOO_LATE}:
            raise _Again(message, _seconds(response.headers.get("retry-after")))
        raise Refused(message)


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None


def _options(api_key: str | None, traceparent: str | None) -> dict[str, str]:
    headers = {}
    if api_key is not None:
        headers["authorization"] = f"Bearer {api_key}"
    if traceparent is not None:
        headers["traceparent"] = traceparent
    return headers


def _one(sample: Sample, key: str | None) -> dict[str, Any]:
    if isinstance(sample, Mapping):
        return {"json": {"row": sample} if key is None else {"row": sample, "key": key}}
    data: bytes = sample
    headers = {"content-type": "application/octet-stream"}
    if key is not None:
        headers["x-everloop-key"] = key
    return {"content": data, "headers": headers}


def _many(samples: Sequence[Sample], key: str | None) -> dict[str, Any]:
    rows = [sample for sample in samples if isinstance(sample, Mapping)]
    images = [sample for sample in samples if not isinstance(sample, Mapping)]
    if rows and images:
        raise Refused("samples are either all rows or all images")
    body: dict[str, Any] = {"rows": rows}
    if images:
        body = {"images": [base64.b64encode(image).decode() for image in images]}
    if key is not None:
        body["key"] = key
    return {"json": body}


def _feedback(prediction: str, kind: str, value: Json) -> dict[str, Any]:
    return {"json": {"prediction_id": prediction, "kind": kind, "value": value}}


def _prediction(told: Mapping[str, Any]) -> Prediction:
    return Prediction(
        PredictionId(told["prediction_id"]),
        told.get("label", ""),
        told.get("confidence", float("nan")),
        told.get("probabilities", {}),
        BundleId(told["bundle"]),
        told["role"],
        told,
    )


def _predictions(told: Mapping[str, Any]) -> list[Prediction | Refused]:
    return [
        Refused(f"{one['error']['message']}; {one['error']['remedy']}")
        if "error" in one
        else _prediction(one)
        for one in told["predictions"]
    ]


def _httpx() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise Refused("the client needs httpx: pip install 'everloop-runtime[client]'") from error
    return httpx


class Client(_Calls):
    """Talks to one service. `retries`: how often a failed request is sent again, with pauses.

    Raises `Unavailable` when the service does not answer, fails or is busy (429), `Refused` when
    it says the request is wrong, with the service's own explanation. A pause is random and
    grows; where the service says Retry-After, it is at least that long.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 10.0,
        retries: int = 0,
        api_key: str | None = None,
        traceparent: str | None = None,
    ) -> None:
        """`traceparent`: the W3C trace context that the requests belong to."""
        super().__init__(url, retries, _options(api_key, traceparent))
        httpx = _httpx()
        self._transport_error = httpx.TransportError
        self._http = httpx.Client(
            base_url=url, timeout=timeout, trust_env=False, headers=self._headers
        )

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
        return _prediction(self._send("POST", "/v1/predict", **_one(sample, key)))

    def search(self, sample: Sample, *, key: str | None = None) -> Prediction:
        """What is most like a sample: its `told` has the `hits`. As `predict` otherwise."""
        return _prediction(self._send("POST", "/v1/search", **_one(sample, key)))

    def predict_many(
        self, samples: Sequence[Sample], *, key: str | None = None, batch: int = 32
    ) -> Iterator[Prediction | Refused]:
        """The answers for samples in their order, `batch` samples a request.

        A sample that is refused has a `Refused` in its place.
        """
        for at in range(0, len(samples), batch):
            told = self._send("POST", "/v1/predict", **_many(samples[at : at + batch], key))
            yield from _predictions(told)

    def feedback(self, prediction: str, kind: str, value: Json) -> None:
        """Tell what became known of an answer: its `label`, a `correction`, or an `event`."""
        self._send("POST", "/v1/feedback", **_feedback(prediction, kind, value))

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
                    raise _Again(f"{self.url} did not answer: {error}") from error
                return self._read(path, response)
            except _Again as error:
                time.sleep(self._pause(attempt, error))
            attempt += 1


class AsyncClient(_Calls):
    """As `Client`, for asyncio."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 10.0,
        retries: int = 0,
        api_key: str | None = None,
        traceparent: str | None = None,
    ) -> None:
        super().__init__(url, retries, _options(api_key, traceparent))
        httpx = _httpx()
        self._transport_error = httpx.TransportError
        self._http = httpx.AsyncClient(
            base_url=url, timeout=timeout, trust_env=False, headers=self._headers
        )

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
        return _prediction(await self._send("POST", "/v1/predict", **_one(sample, key)))

    async def search(self, sample: Sample, *, key: str | None = None) -> Prediction:
        """What is most like a sample: its `told` has the `hits`. As `predict` otherwise."""
        return _prediction(await self._send("POST", "/v1/search", **_one(sample, key)))

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
                return _predictions(await self._send("POST", "/v1/predict", **_many(part, key)))

        parts = [samples[at : at + batch] for at in range(0, len(samples), batch)]
        return [one for found in await asyncio.gather(*map(some, parts)) for one in found]

    async def feedback(self, prediction: str, kind: str, value: Json) -> None:
        """Tell what became known of an answer: its `label`, a `correction`, or an `event`."""
        await self._send("POST", "/v1/feedback", **_feedback(prediction, kind, value))

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
                    raise _Again(f"{self.url} did not answer: {error}") from error
                return self._read(path, response)
            except _Again as error:
                await asyncio.sleep(self._pause(attempt, error))
            attempt += 1
