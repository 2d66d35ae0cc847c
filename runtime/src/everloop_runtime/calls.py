"""What the clients of the prediction service have in common: requests, and what answers mean."""

import base64
import functools
import random
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack

from everloop_runtime.errors import Refused, Unavailable
from everloop_runtime.ids import BundleId, Json, PredictionId

if TYPE_CHECKING:
    import httpx

_SERVER_ERROR = 500
_CLIENT_ERROR = 400
_TOO_MANY, _TOO_LATE = 429, 408
_ABOUT_BODY = frozenset({400, 413, 422})
"""What one of several statements can be refused with, and the others not."""
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


@dataclass(frozen=True, slots=True)
class Statement:
    """What became known of one answer."""

    prediction: str
    kind: str
    """`label`, `correction` or `event`."""
    value: Json


class Wrong(Refused):
    """The service says that the request is wrong."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Again(Unavailable):
    """Worth another try; `after`: the seconds that the service asked for."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Options(TypedDict, total=False):
    """How a client talks to its service."""

    timeout: float
    """Seconds for an answer; 10 unless it is said."""
    retries: int
    """How often what may pass is sent again; not at all unless it is said."""
    api_key: str | None
    traceparent: str | None
    """The W3C trace context that the requests belong to."""


class Calls:
    """What both clients have in common: requests, and what their answers mean."""

    def __init__(self, url: str, **options: Unpack[Options]) -> None:
        self.url = url
        self._retries = options.get("retries", 0)
        self._transport_error = _httpx().TransportError
        self._options: dict[str, Any] = {
            "base_url": url,
            "timeout": options.get("timeout", 10.0),
            "trust_env": False,
            "verify": _authorities(not url.startswith("http://")),
            "headers": _headers(options.get("api_key"), options.get("traceparent")),
        }

    def pause(self, attempt: int, error: Again) -> float:
        """Seconds before the next try; raises the error when there is none."""
        if attempt >= self._retries:
            raise error
        # Full jitter, so that clients that failed together do not return together.
        pause = random.uniform(0, min(_LONGEST_PAUSE, 0.1 * 2**attempt))  # noqa: S311
        return pause if error.after is None else min(error.after, _LONGEST_ASKED) + pause

    def read(self, path: str, response: "httpx.Response") -> dict[str, Any]:
        """What was answered; raises `Again` or `Refused` with what is wrong."""
        if response.status_code < _CLIENT_ERROR:
            told: dict[str, Any] = response.json()
            return told
        message = f"{self.url}{path} answered {response.status_code}: {response.text[:300]}"
        if response.status_code >= _SERVER_ERROR or response.status_code in {_TOO_MANY, _TOO_LATE}:
            raise Again(message, _seconds(response.headers.get("retry-after")))
        raise Wrong(message, response.status_code)


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None


def _headers(api_key: str | None, traceparent: str | None) -> dict[str, str]:
    headers = {}
    if api_key is not None:
        headers["authorization"] = f"Bearer {api_key}"
    if traceparent is not None:
        headers["traceparent"] = traceparent
    return headers


def one_sample(sample: Sample, key: str | None) -> dict[str, Any]:
    """The request about one sample."""
    if isinstance(sample, Mapping):
        return {"json": {"row": sample} if key is None else {"row": sample, "key": key}}
    data: bytes = sample
    headers = {"content-type": "application/octet-stream"}
    if key is not None:
        headers["x-everloop-key"] = key
    return {"content": data, "headers": headers}


def many_samples(samples: Sequence[Sample], key: str | None) -> dict[str, Any]:
    """The request about several samples; `Refused` when some are rows and some images."""
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


def feedback_body(prediction: str, kind: str, value: Json) -> dict[str, Any]:
    """The request that tells what became known of an answer."""
    return {"json": {"prediction_id": prediction, "kind": kind, "value": value}}


def many_statements(some: Sequence[Statement]) -> dict[str, Any]:
    """The request that tells what became known of several answers."""
    return {
        "json": {"feedback": [feedback_body(s.prediction, s.kind, s.value)["json"] for s in some]}
    }


def halves(some: Sequence[Statement], error: Wrong) -> tuple[Sequence[Statement], ...]:
    """The two halves of what was refused together; none of one. Raises what no half mends."""
    if error.status not in _ABOUT_BODY:
        raise error
    middle = len(some) // 2
    return (some[:middle], some[middle:]) if middle else ()


def prediction(told: Mapping[str, Any]) -> Prediction:
    """One answer."""
    return Prediction(
        PredictionId(told["prediction_id"]),
        told.get("label", ""),
        told.get("confidence", float("nan")),
        told.get("probabilities", {}),
        BundleId(told["bundle"]),
        told["role"],
        told,
    )


def predictions(told: Mapping[str, Any]) -> list[Prediction | Refused]:
    """The answers of a request about several; a refused sample has its reason in its place."""
    return [
        Refused(f"{one['error']['message']}; {one['error']['remedy']}")
        if "error" in one
        else prediction(one)
        for one in told["predictions"]
    ]


@functools.cache
def _authorities(is_encrypted: bool) -> ssl.SSLContext:
    """Who may vouch for a service. Reading the list takes 30 ms: once, and only for TLS."""
    if is_encrypted:
        context: ssl.SSLContext = _httpx().create_ssl_context(trust_env=False)
        return context
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _httpx() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise Refused("the client needs httpx: pip install 'everloop-runtime[client]'") from error
    return httpx
