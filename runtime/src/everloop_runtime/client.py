"""A client of the prediction service."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from everloop_runtime.errors import EverloopError, Refused, Unavailable
from everloop_runtime.ids import BundleId, PredictionId

_SERVER_ERROR = 500
_CLIENT_ERROR = 400


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer of the service."""

    prediction_id: PredictionId
    label: str
    confidence: float
    probabilities: Mapping[str, float]
    bundle: BundleId
    role: str
    """Who answered: `champion` or `canary`."""


class Client:
    """Talks to one service. `retries`: how often a failed request is sent again, with pauses.

    Raises `Unavailable` when the service does not answer or fails, `Refused` when it says the
    request is wrong, with the service's own explanation.
    """

    def __init__(self, url: str, *, timeout: float = 10.0, retries: int = 0) -> None:
        try:
            import httpx
        except ImportError as error:
            raise Refused(
                "the client needs httpx: pip install 'everloop-runtime[client]'"
            ) from error
        self.url = url
        self._retries = retries
        self._http = httpx.Client(base_url=url, timeout=timeout, trust_env=False)
        self._transport_error = httpx.TransportError

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

    def predict(self, data: bytes, *, key: str | None = None) -> Prediction:
        """The answer for an image file's bytes; the same `key` is answered by the same bundle."""
        headers = {"content-type": "application/octet-stream"}
        if key is not None:
            headers["x-everloop-key"] = key
        told = self._send("POST", "/v1/predict", content=data, headers=headers)
        return Prediction(
            PredictionId(told["prediction_id"]),
            told["label"],
            told["confidence"],
            told["probabilities"],
            BundleId(told["bundle"]),
            told["role"],
        )

    def status(self) -> Mapping[str, Any]:
        """What the service says of itself."""
        return self._send("GET", "/v1/status")

    def flush(self) -> None:
        """Have the service seal its open capture segment now."""
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
                return self._send_once(method, path, **options)
            except Unavailable:
                if attempt >= self._retries:
                    raise
            # Full jitter, so that clients that failed together do not return together.
            time.sleep(random.uniform(0, min(5.0, 0.1 * 2**attempt)))  # noqa: S311
            attempt += 1

    def _send_once(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **options)
        except self._transport_error as error:
            raise Unavailable(f"{self.url} did not answer: {error}") from error
        if response.status_code < _CLIENT_ERROR:
            told: dict[str, Any] = response.json()
            return told
        message = f"{self.url}{path} answered {response.status_code}: {response.text[:300]}"
        if response.status_code >= _SERVER_ERROR:
            raise Unavailable(message)
        raise Refused(message)
