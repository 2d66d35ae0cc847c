"""Confidence brought to one temperature, at which it means what it says on the hold-out."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SMALLEST = 1e-12
_LOW, _HIGH = 0.05, 20.0


def accuracy_temperature(probabilities: "NDArray[np.float32]", accuracy: float) -> float:
    """Where the mean confidence of answers `[n, K]` meets their accuracy, found by bisection."""
    low, high = _LOW, _HIGH
    for _ in range(40):
        middle = (low * high) ** 0.5
        if float(cooled(probabilities, middle).mean()) > accuracy:
            low = middle
        else:
            high = middle
    return float((low * high) ** 0.5)


def cooled(probabilities: "NDArray[np.float32]", temperature: float) -> "NDArray[np.float64]":
    """The confidence of answers `[n, K]` at a temperature (Guo et al. 2017), `[n]`."""
    import numpy as np

    logits = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    # The largest logit is 0 now, so the confidence is 1 over the sum.
    found: NDArray[np.float64] = 1 / np.exp(logits).sum(axis=1)
    return found
