"""What live windows are compared with: made once from the hold-out, carried in the bundle."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.errors import Refused
from everloop.monitoring.calibrated import accuracy_temperature
from everloop.monitoring.profile import (
    MARK,
    Profile,
    Seen,
    Watchable,
    answer_figures,
    embedding_figures,
    make_profile,
    read_profile,
)
from everloop.tasks.task import Exports
from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.arrays import read_arrays

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COMPONENTS = 8
_FIVE = ("probabilities", "correct", "projected", "mean", "axes")


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
    profile: Profile | None = None
    """Both sides of the snapshot in bins; None in a bundle of an older version."""

    @property
    def accuracy(self) -> float:
        """On the hold-out."""
        return float(self.correct.mean())

    def temperature(self, task: Exports) -> float:
        """At which the hold-out's mean confidence is its accuracy; 1 where answers are no
        probabilities."""
        if self.profile is not None:
            return self.profile.temperature
        if task.answer()["kind"] != ClassProbabilities.name:
            return 1.0
        return accuracy_temperature(self.values, self.accuracy)

    def project(self, embeddings: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Embeddings `[n, D]` on the principal axes, `[n, P]`."""
        return ((embeddings - self.mean) @ self.axes).astype("float32")


@dataclass(frozen=True, slots=True)
class Known:
    """What else training knows, so that more can be watched."""

    task: Watchable
    training: "NDArray[np.float32]"
    """The answers to the training side, `[N, ...]`."""
    training_inputs: "Mapping[str, NDArray[np.float32]]"
    """Figures of its inputs, `[N]` each; see `everloop.monitoring.inputs`."""
    inputs: "Mapping[str, NDArray[np.float32]]"
    """The same of the hold-out, `[n]` each."""
    targets: Any = None
    """Labels of the hold-out as the task has them."""


def build_reference(
    values: "NDArray[np.float32]",
    embeddings: "NDArray[np.float32]",
    correct: "NDArray[np.bool_]",
    training_embeddings: "NDArray[np.float32]",
    known: Known | None = None,
) -> bytes:
    """The file `reference.npz` of a bundle, from hold-out answers `[n, ...]`, `[n, D]`, `[n]`.

    `correct`: which of them are right. With `known` it holds a profile too.

    The axes come from training embeddings: axes fitted to the hold-out itself would fit it
    better than any later sample, and so call later samples drifted. The same inputs give the
    same bytes.
    """
    import numpy as np

    mean = training_embeddings.mean(axis=0)
    _, _, rows = np.linalg.svd(training_embeddings - mean, full_matrices=False)
    axes = np.ascontiguousarray(rows[:_COMPONENTS].T, np.float32)
    mean = mean.astype(np.float32)
    projected = ((embeddings - mean) @ axes).astype(np.float32)
    plain = Reference(values.astype(np.float32), correct, projected, mean, axes)
    more: dict[str, NDArray[Any]] = {}
    if known is not None:
        task = known.task
        temperature = plain.temperature(task)
        given, inputs = known.training, known.training_inputs
        train = seen(plain, task, temperature, given, training_embeddings, inputs)
        held = seen(plain, task, temperature, values, embeddings, known.inputs)
        confusion = _confusion(task, values, known.targets)
        more = make_profile(train, held, confusion, temperature).arrays()
    # The first is called so since answers were probabilities only.
    five = (plain.values, correct, projected, mean, axes)
    everything: dict[str, Any] = {**dict(zip(_FIVE, five, strict=True)), **more}
    out = io.BytesIO()
    np.savez(out, **everything)
    return out.getvalue()


def seen(
    reference: Reference,
    task: Watchable,
    temperature: float,
    values: "NDArray[np.float32]",
    embeddings: "NDArray[np.float32]",
    inputs: "Mapping[str, NDArray[np.float32]]",
) -> Seen:
    """The figures of answers `[n, ...]`, embeddings `[n, D]` and inputs."""
    centred = embeddings - reference.mean
    projected = (centred @ reference.axes).astype("float32")
    return Seen(
        answer_figures(task, values, temperature),
        embedding_figures(centred, projected),
        inputs,
        projected,
    )


def _confusion(
    task: Watchable, values: "NDArray[np.float32]", targets: Any
) -> "NDArray[np.float64]":
    """How many have answer `i` and label `j`, `[K, K]`; nothing where that is not known."""
    import numpy as np

    if targets is None or task.answer()["kind"] != ClassProbabilities.name:
        return np.zeros((0, 0))
    counts = np.zeros((values.shape[1], values.shape[1]))
    np.add.at(counts, (values.argmax(axis=1), np.asarray(targets, np.int64)), 1)
    return counts


def read_reference(data: bytes) -> Reference:
    """The reference in a bundle's file; nothing is unpickled. `Refused` when it is broken."""
    try:
        arrays = read_arrays(data, _FIVE)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            profile = read_profile(data) if f"{MARK}.npy" in archive.namelist() else None
    except Refused as error:
        raise Refused(f"the drift reference cannot be read: {error}") from error
    five = [arrays[name] for name in _FIVE]
    return Reference(five[0], five[1], five[2], five[3], five[4], profile)
