"""One number that makes a model's probabilities mean what they say, put inside its graph."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from everloop.errors import Refused
from everloop_runtime.bundle import Calibration, Thresholds
from everloop_runtime.model import Outputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LOWEST, _HIGHEST = 0.2, 5.0
_MIN_SAMPLES, _MIN_WRONG = 50, 5
_MIN_ACCEPTED = 20
"""A precision found on fewer answers says little."""


def calibrated(
    onnx: bytes,
    run: Callable[[bytes], Outputs],
    labels: "NDArray[np.int64]",
    error: "Callable[[NDArray[np.float32]], float]",
    *,
    wanted: bool,
) -> tuple[bytes, Calibration, Outputs]:
    """The graph, made to mean what it says; how; and what it answers on the hold-out.

    `run`: what a graph answers on the hold-out. `labels`: `[N]`, `error`: the calibration error of
    answers `[N, K]`.
    """
    outputs = run(onnx)
    if not wanted:
        return onnx, Calibration(reason="the policy asks for none"), outputs
    found = fit_temperature(outputs.values, labels, error)
    if found.method == "none":
        return onnx, found, outputs
    try:
        onnx = with_temperature(onnx, found.temperature)
    except Refused as refused:
        return onnx, Calibration(reason=str(refused)), outputs
    return onnx, found, run(onnx)


def fit_temperature(
    probabilities: "NDArray[np.float32]",
    labels: "NDArray[np.int64]",
    error: "Callable[[NDArray[np.float32]], float]",
) -> Calibration:
    """The temperature that makes hold-out answers `[N, K]` most likely given `labels`, `[N]`.

    Minimises the log loss of softmax(log p / T), which is that of softmax(logits / T) (Guo et al.
    2017), over T from 0.2 to 5. One number cannot learn the hold-out by heart, and it changes no
    answer, only how sure it is. Without 50 samples and 5 wrong answers nothing is fitted: a model
    that is right everywhere would be called infinitely sure.
    """
    import numpy as np
    from scipy.optimize import minimize_scalar

    wrong = int((probabilities.argmax(axis=1) != labels).sum())
    if not np.isfinite(probabilities).all():
        return Calibration(reason="the model gives answers that are not numbers")
    if len(labels) < _MIN_SAMPLES or wrong < _MIN_WRONG:
        return Calibration(
            samples=len(labels),
            reason=f"{len(labels)} hold-out samples, {wrong} of them answered wrongly; at least "
            f"{_MIN_SAMPLES} and {_MIN_WRONG} are needed to fit a temperature",
        )
    logs = np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny))
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = logs / math.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        normal = np.log(np.exp(scaled).sum(axis=1))
        return float((normal - scaled[rows, labels]).mean())

    found = minimize_scalar(loss, bounds=(math.log(_LOWEST), math.log(_HIGHEST)), method="bounded")
    # Few digits: the last ones of an optimiser differ between machines, and name another bundle.
    temperature = round(math.exp(found.x), 3)
    return Calibration(
        method="temperature",
        temperature=temperature,
        samples=len(labels),
        error_before=round(error(probabilities), 4),
        error_after=round(error(softened(probabilities, temperature)), 4),
        reason="fitted on the hold-out; it changes no answer, only how sure it is",
    )


def softened(probabilities: "NDArray[np.float32]", temperature: float) -> "NDArray[np.float32]":
    """softmax(log p / T), `[N, K]`: what the graph gives with the temperature inside."""
    import numpy as np

    scaled = np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny))
    scaled /= temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    powers = np.exp(scaled)
    given: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return given


def with_temperature(onnx: bytes, temperature: float) -> bytes:
    """The graph with its logits divided by the temperature before the last softmax.

    `Refused` when its probabilities do not come from a softmax.
    """
    import numpy as np
    from onnx import helper, load_from_string, numpy_helper

    model = load_from_string(onnx)
    places = [i for i, n in enumerate(model.graph.node) if "probabilities" in n.output]
    if not places or model.graph.node[places[0]].op_type != "Softmax":
        raise Refused("the graph's probabilities are not from a softmax; no temperature fits in")
    softmax = model.graph.node[places[0]]
    constant, scaled = "everloop_temperature", "everloop_scaled"
    value = np.array(temperature, np.float32)
    model.graph.initializer.append(numpy_helper.from_array(value, constant))
    divide = helper.make_node("Div", [softmax.input[0], constant], [scaled], "everloop_calibrate")
    softmax.input[0] = scaled
    model.graph.node.insert(places[0], divide)
    data: bytes = model.SerializeToString()
    return data


def choose_threshold(
    confidence: "NDArray[np.floating[Any]]", right: "NDArray[np.bool_]", precision: float
) -> Thresholds:
    """The lowest confidence from which on at least `precision` of hold-out answers are right.

    `precision` 0 asks for none. Where no confidence holds it on at least 20 answers, the threshold
    is 1 and covers none: every answer needs a person.
    """
    import numpy as np

    if not precision or not np.isfinite(confidence).all():
        return Thresholds()
    order = np.argsort(-confidence, kind="stable")
    counts = np.arange(1, len(order) + 1)
    held = np.cumsum(right[order]) / counts
    # Equal confidences are accepted together or not at all.
    whole = np.append(confidence[order][1:] < confidence[order][:-1], True)
    fits = np.flatnonzero((held >= precision) & whole & (counts >= _MIN_ACCEPTED))
    if not len(fits):
        return Thresholds(confidence=1.0, precision=None, coverage=0.0)
    last = int(fits[-1])
    return Thresholds(
        confidence=float(confidence[order][last]),
        precision=float(held[last]),
        coverage=float(counts[last] / len(order)),
    )
