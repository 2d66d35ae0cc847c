"""Captured answers as a service writes them, with nothing said that a test does not ask for."""

from typing import Any

from tests.support.clock import at

from everloop.ids import BundleId, PredictionId
from everloop_runtime.ids import sample_id
from everloop_runtime.segments import Captured


def answer(number: int, image: bytes, bundle: BundleId, **more: Any) -> Captured:
    """The champion's answer number `number`, given so many seconds after the start."""
    said: dict[str, Any] = {
        "prediction": PredictionId(f"p{number}"),
        "sample": sample_id(image),
        "bundle": bundle,
        "role": "champion",
        "key": "k",
        "at": at(number).timestamp(),
        "latency_ms": 1.0,
        "status": "ok",
        "confidence": 0.9,
        "probabilities": (0.1, 0.9),
        "embedding": (float(number), 1.0),
        "image": image,
    }
    return Captured(**(said | more))
