"""How fast and how large a bundle is: facts of this machine and this moment."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from everloop_runtime.bundle import Bundle
from everloop_runtime.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS = 3
"""The best round counts: what else the machine did makes times longer, never shorter."""
_LEAST, _MOST = 10, 100
"""Runs of a round; between them it lasts about `_SECONDS`."""
_SECONDS = 0.08
_BATCH = 32
_MIB = 2**20


def size_of(bundle: Bundle) -> Mapping[str, float]:
    """`bundle_mib`: all its files; `model_mib`: the graph."""
    files = bundle.manifest.files
    return {
        "bundle_mib": sum(entry.bytes for entry in files.values()) / _MIB,
        "model_mib": files["model.onnx"].bytes / _MIB,
    }


def speed_of(
    model: Model,
    originals: Sequence[bytes],
    inputs: "NDArray[Any]",
    clock: Callable[[], float] = time.perf_counter,
) -> Mapping[str, float]:
    """Milliseconds from a sample's bytes to its answer in this process, one at a time on one
    thread: `latency_p50_ms`, `latency_p95_ms`, `latency_p99_ms`; and `samples_per_second` of
    decoded ones, 32 at a time.

    `originals` and `inputs`: some samples, as they came and decoded. Each figure is that of the
    best of three rounds after a warm-up. Nothing of the network and nothing of queues is in them.
    """
    import numpy as np

    def answer(run: int) -> None:
        model.predict(model.decode([originals[run % len(originals)]]))

    batch = inputs[np.arange(_BATCH) % len(inputs)]
    answer(0)
    rounds = [_round(answer, clock) for _ in range(_ROUNDS)]
    p50, p95, p99 = (
        1000 * min(float(np.quantile(times, share)) for times in rounds)
        for share in (0.5, 0.95, 0.99)
    )
    model.predict(batch)
    quickest = min(min(_round(lambda _: model.predict(batch), clock, 3)) for _ in range(_ROUNDS))
    return {
        "latency_p50_ms": p50,
        "latency_p95_ms": p95,
        "latency_p99_ms": p99,
        "samples_per_second": _BATCH / max(quickest, 1e-9),
    }


def _round(
    what: Callable[[int], object], clock: Callable[[], float], least: int = _LEAST
) -> list[float]:
    times: list[float] = []
    began = clock()
    while len(times) < least or (len(times) < _MOST and clock() - began < _SECONDS):
        start = clock()
        what(len(times))
        times.append(clock() - start)
    return times
