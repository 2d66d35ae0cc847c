"""How much of one picture is left unexplained by another, once laid over it as well as can be."""

from typing import TYPE_CHECKING

from everloop.data.examined import THUMBNAIL_SIDE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STEPS = 7
_SHIFT = 4.0
"""The most by which its middle and its borders may be moved, in pixels of 32."""
_LEAST_OVERLAP = 0.6
_CHUNK = 128
"""Pairs at a time: as many as stay in a core's cache."""


def residuals(first: "NDArray[np.uint8]", second: "NDArray[np.uint8]") -> "NDArray[np.float32]":
    """The share of variance that pairs of thumbnails `[P, 32, 32]` do not share, `[P]`.

    1 - r^2, with r the correlation over the overlap, after stretching and moving one along both
    axes (Lucas and Kanade 1981, "An Iterative Image Registration Technique"); so neither
    brightness nor contrast counts, nor a cut border. 0: the same picture; 1: nothing in common.
    """
    import numpy as np

    found = np.empty(len(first), np.float32)
    for start in range(0, len(first), _CHUNK):
        part = slice(start, start + _CHUNK)
        found[part] = _align(first[part].astype(np.float32), second[part].astype(np.float32))
    return found


def _align(fixed: "NDArray[np.float32]", moving: "NDArray[np.float32]") -> "NDArray[np.float32]":
    import numpy as np

    axis = np.arange(THUMBNAIL_SIDE, dtype=np.float32)
    centred = (axis - axis.mean()) / axis.mean()
    pairs = len(fixed)
    down, across = np.gradient(_unit(fixed, np.ones_like(fixed)), axis=(1, 2))
    slopes = np.stack([across * centred, across, down * centred[:, None], down], axis=1)
    slopes = slopes.reshape(pairs, 4, -1)
    normal = slopes @ slopes.transpose(0, 2, 1)
    damping = 1e-4 * (1 + np.trace(normal, axis1=1, axis2=2))
    backwards = np.linalg.inv(normal + damping[:, None, None] * np.eye(4, dtype=np.float32))
    place = np.zeros((pairs, 4), np.float32)
    best = np.ones(pairs, np.float32)
    for _ in range(_STEPS):
        laid, overlap = _lay(moving, place, axis, centred)
        one, other = _unit(fixed, overlap), _unit(laid, overlap)
        shared = (one * other).sum(axis=(1, 2))
        enough = overlap.mean(axis=(1, 2)) >= _LEAST_OVERLAP
        left = np.where(enough & (shared > 0), 1 - np.minimum(shared, 1) ** 2, 1.0)
        best = np.minimum(best, left)
        wrong = (one - other * shared[:, None, None]).reshape(pairs, -1, 1)
        place += (backwards @ (slopes @ wrong))[..., 0]
        place = np.clip(place, -_SHIFT, _SHIFT)
    return best


def _unit(pictures: "NDArray[np.float32]", overlap: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Pictures with mean 0 and length 1 over the overlap, 0 outside it."""
    import numpy as np

    weight = np.maximum(overlap.sum(axis=(1, 2), keepdims=True), 1.0)
    level = (pictures * overlap).sum(axis=(1, 2), keepdims=True) / weight
    centred = (pictures - level) * overlap
    length = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(centred / np.maximum(length, 1e-3), np.float32)


def _lay(
    moving: "NDArray[np.float32]",
    place: "NDArray[np.float32]",
    axis: "NDArray[np.float32]",
    centred: "NDArray[np.float32]",
) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """The moving pictures stretched and moved, and where they cover the fixed ones."""
    import numpy as np

    across, inside_x = _weights(axis + place[:, :1] * centred + place[:, 1:2])
    down, inside_y = _weights(axis + place[:, 2:3] * centred + place[:, 3:])
    laid = np.asarray(down @ moving @ across.transpose(0, 2, 1), np.float32)
    return laid, inside_y[:, :, None] * inside_x[:, None, :]


def _weights(
    at: "NDArray[np.float32]",
) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """Matrices `[P, 32, 32]` that interpolate at places `[P, 32]`, and which are inside."""
    import numpy as np

    cells = np.arange(THUMBNAIL_SIDE, dtype=np.float32)
    weights = np.maximum(0, 1 - np.abs(at[:, :, None] - cells))
    inside = (at >= 0) & (at <= THUMBNAIL_SIDE - 1)
    return weights.astype(np.float32), inside.astype(np.float32)
