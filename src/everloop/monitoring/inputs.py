"""What is watched of the inputs themselves: of pictures a few figures, of rows each column."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from everloop_runtime.images import ImageSpec
from everloop_runtime.samples import Spec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AT_ONCE = 2_000_000
"""Pixels that are measured together."""
COLUMN = "column "
"""How the figures of columns begin; the column's name follows."""


def input_figures(inputs: "NDArray[Any]", spec: Spec) -> "Mapping[str, NDArray[np.float32]]":
    """Figures of inputs `[N, *spec.shape]` as the model takes them, `[N]` each, by name.

    Of pictures `brightness` and `contrast` (mean and standard deviation of grey, 0 to 1),
    `sharpness` (logarithm of the variance of the 4-neighbour Laplacian: Pech-Pacheco et al. 2000),
    `direction` (by how much more changes across than down, -1 to 1: a picture that is turned has
    another), and of colour pictures `colour` (mean spread of the three channels). Of rows each
    column's value, or the place of its category; NaN where it is missing.
    """
    import numpy as np

    if not isinstance(spec, ImageSpec):
        columns = np.asarray(inputs, np.float32).reshape(len(inputs), -1)
        return {
            f"{COLUMN}{feature.name}": columns[:, place]
            for place, feature in enumerate(spec.features)
        }
    names = ["brightness", "contrast", "sharpness", "direction"]
    names += ["colour"] if spec.channels > 1 else []
    step = max(1, _AT_ONCE // (spec.height * spec.width * spec.channels))
    parts = [
        np.stack(_of_pictures(inputs[start : start + step]))
        for start in range(0, len(inputs), step)
    ]
    found = np.concatenate(parts, axis=1) if parts else np.empty((len(names), 0), np.float32)
    return dict(zip(names, found, strict=True))


def _of_pictures(pictures: "NDArray[np.uint8]") -> "list[NDArray[np.float32]]":
    import numpy as np

    pixels = np.asarray(pictures, np.float32) / np.float32(255)
    grey = pixels.mean(axis=3)
    flat = grey.reshape(len(grey), -1)
    found = [flat.mean(axis=1), flat.std(axis=1), *_edges(grey)]
    if pixels.shape[3] > 1:
        found.append((pixels.max(axis=3) - pixels.min(axis=3)).mean(axis=(1, 2)))
    return found


def _edges(grey: "NDArray[np.float32]") -> "list[NDArray[np.float32]]":
    import numpy as np

    if min(grey.shape[1:]) < 3:
        nothing = np.zeros(len(grey), np.float32)
        return [nothing, nothing]
    inner = grey[:, 1:-1, 1:-1]
    across = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]
    down = grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    bent = grey[:, 1:-1, 2:] + grey[:, 1:-1, :-2] + grey[:, 2:, 1:-1] + grey[:, :-2, 1:-1]
    bent -= 4 * inner
    right, low = (np.square(each).sum(axis=(1, 2)) for each in (across, down))
    direction = (right - low) / (right + low + np.float32(1e-9))
    return [np.log10(bent.reshape(len(grey), -1).var(axis=1) + np.float32(1e-6)), direction]
