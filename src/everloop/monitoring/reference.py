"""What live windows are compared with: made once from the hold-out, carried in the bundle."""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.errors import Refused
from everloop_runtime.arrays import read_arrays

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COMPONENTS = 8


@dataclass(frozen=True, slots=True)
class Reference:
    """The hold-out as the bundle sees it. No sample can be recovered from it."""

    values: "NDArray[np.float32]"
    """The answers, `[n, ...]`, as the bundle's kind of answer has them."""
    correct: "NDArray[np.bool_]"
    """Which of these answers are right, `[n]`."""
    projected: "NDArray[np.float32]"
    """Embeddings on the principal axes, `[n, P]`."""
    mean: "NDArray[np.float32]"
    """Of the training embeddings, `[D]`."""
    axes: "NDArray[np.float32]"
    """Principal axes of the training embeddings, `[D, P]`."""

    @property
    def accuracy(self) -> float:
        """On the hold-out."""
        return float(self.correct.mean())

    def project(self, embeddings: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Embeddings `[n, D]` on the principal axes, `[n, P]`."""
        return ((embeddings - self.mean) @ self.axes).astype("float32")


def build_reference(
    values: "NDArray[np.float32]",
    embeddings: "NDArray[np.float32]",
    correct: "NDArray[np.bool_]",
    training_embeddings: "NDArray[np.float32]",
) -> bytes:
    """The file `reference.npz` of a bundle, from hold-out answers `[n, ...]`, `[n, D]`, `[n]`.

    `correct`: which of them are right.

    The axes come from training embeddings: axes fitted to the hold-out itself would fit it
    better than any later sample, and so call later samples drifted. The same inputs give the
    same bytes.
    """
    import numpy as np

    mean = training_embeddings.mean(axis=0)
    _, _, rows = np.linalg.svd(training_embeddings - mean, full_matrices=False)
    axes = rows[:_COMPONENTS].T
    out = io.BytesIO()
    np.savez(
        out,
        # Called so since answers were probabilities only.
        probabilities=values.astype(np.float32),
        correct=correct,
        projected=((embeddings - mean) @ axes).astype(np.float32),
        mean=mean.astype(np.float32),
        axes=np.ascontiguousarray(axes, np.float32),
    )
    return out.getvalue()


def read_reference(data: bytes) -> Reference:
    """The reference in a bundle's file; nothing is unpickled. `Refused` when it is broken."""
    names = ("probabilities", "correct", "projected", "mean", "axes")
    try:
        arrays = read_arrays(data, names)
    except Refused as error:
        raise Refused(f"the drift reference cannot be read: {error}") from error
    return Reference(*(arrays[name] for name in names))
