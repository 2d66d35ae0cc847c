"""A bundle measured on a hold-out, as a whole and by slice."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.data.training_data import SnapshotSide
from everloop.errors import Refused
from everloop.ids import BundleId, Json, SampleId, SnapshotId
from everloop.tasks.task import Learnable
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import canonical_json, digest_json
from everloop_runtime.model import Model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class SliceResult:
    """How one part of the hold-out is answered."""

    name: str
    """`class=3` or `origin=production`"""
    rows: tuple[int, ...]
    accuracy: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a bundle answers on a snapshot's hold-out, and how good that is."""

    bundle: BundleId
    snapshot: SnapshotId
    classes: tuple[str, ...]
    samples: tuple[SampleId, ...]
    labels: "NDArray[np.int64]"
    """`[N]`"""
    origins: tuple[str, ...]
    probabilities: "NDArray[np.float32]"
    """`[N, K]`"""
    metrics: Mapping[str, float]

    @property
    def correct(self) -> "NDArray[np.bool_]":
        """Which answers are right, `[N]`."""
        right: NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.labels
        return right

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the accuracy."""
        return wilson(int(self.correct.sum()), len(self.samples))

    def slices(self) -> tuple[SliceResult, ...]:
        """By class and by origin, the worst first."""
        groups: dict[str, list[int]] = {}
        for row, (label, origin) in enumerate(zip(self.labels, self.origins, strict=True)):
            groups.setdefault(f"class={self.classes[label]}", []).append(row)
            groups.setdefault(f"origin={origin}", []).append(row)
        right = self.correct
        found = [
            SliceResult(name, tuple(rows), float(right[rows].mean()))
            for name, rows in groups.items()
        ]
        return tuple(sorted(found, key=lambda result: (result.accuracy, result.name)))


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95% score interval of a proportion (Wilson 1927).

    >>> [round(bound, 3) for bound in wilson(9, 10)]
    [0.596, 0.982]
    """
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, _Z95**2
    middle = share + z2 / (2 * trials)
    spread = _Z95 * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return (middle - spread) / (1 + z2 / trials), (middle + spread) / (1 + z2 / trials)


def evaluate(
    model: Model, snapshot: SnapshotId, holdout: SnapshotSide, task: Learnable
) -> Evaluation:
    """The evaluation of a loaded bundle. Raises `Refused` when it was learnt for other classes."""
    manifest = model.bundle.manifest
    if manifest.classes != task.classes or manifest.spec != task.spec():
        raise Refused(
            f"bundle {model.bundle.id[:8]} was made for classes {manifest.classes} at "
            f"{manifest.spec}; the task has {task.classes} at {task.spec()}"
        )
    probabilities = model.predict(holdout.pixels).probabilities
    return measured(probabilities, snapshot, holdout, task, model.bundle.id)


_NOT_NAMED_YET = BundleId("")


def measured(
    probabilities: "NDArray[np.float32]",
    snapshot: SnapshotId,
    holdout: SnapshotSide,
    task: Learnable,
    bundle: BundleId = _NOT_NAMED_YET,
) -> Evaluation:
    """The evaluation of answers `[N, K]` to the hold-out, in its order."""
    return Evaluation(
        bundle,
        snapshot,
        holdout.classes,
        holdout.samples,
        holdout.indices,
        holdout.origins,
        probabilities,
        task.score(probabilities, holdout.indices),
    )


def save(folder: Path, evaluation: Evaluation) -> str:
    """Store an evaluation and return its digest; the same content is stored once."""
    told: dict[str, Json] = {
        "bundle": evaluation.bundle,
        "snapshot": evaluation.snapshot,
        "classes": list(evaluation.classes),
        "samples": list(evaluation.samples),
        "labels": [int(label) for label in evaluation.labels],
        "origins": list(evaluation.origins),
        # NaN is not JSON: what is not a number is stored as null.
        "probabilities": [
            [float(p) if math.isfinite(p) else None for p in row]
            for row in evaluation.probabilities
        ],
        "metrics": {n: v if math.isfinite(v) else None for n, v in evaluation.metrics.items()},
    }
    digest = digest_json(told)
    path = folder / f"{digest}.json"
    if not path.exists():
        write_atomic(path, canonical_json(told))
    return digest


def load(folder: Path, digest: str) -> Evaluation:
    """A stored evaluation; `Refused` when there is none or it was changed."""
    import numpy as np

    try:
        told = json.loads((folder / f"{digest}.json").read_bytes())
    except OSError as error:
        raise Refused(f"there is no evaluation {digest[:8]}: {error}") from error
    if digest_json(told) != digest:
        raise Refused(f"evaluation {digest[:8]} was changed after it was stored")
    return Evaluation(
        BundleId(told["bundle"]),
        SnapshotId(told["snapshot"]),
        tuple(told["classes"]),
        tuple(told["samples"]),
        np.asarray(told["labels"], dtype=np.int64),
        tuple(told["origins"]),
        np.asarray(told["probabilities"], dtype=np.float32),
        {n: float("nan") if v is None else v for n, v in told["metrics"].items()},
    )
