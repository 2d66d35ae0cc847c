"""A bundle measured on a hold-out, as a whole and by slice."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from everloop.data.training_data import SnapshotSide
from everloop.errors import Refused
from everloop.evaluation.intervals import bootstrap, wilson
from everloop.evaluation.ranking import ranking_by_query
from everloop.evaluation.resampling import Interval, interval, metric_draws
from everloop.evaluation.slices import groups_of, told_apart
from everloop.ids import BundleId, Json, SampleId, SnapshotId
from everloop.labels import ClassLabel, encode
from everloop.tasks.detection_scores import coco_by_size
from everloop.tasks.task import Learnable
from everloop_runtime.answers.boxes import Boxes
from everloop_runtime.answers.hits import Hits
from everloop_runtime.bundle import Manifest
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import canonical_json, digest_json
from everloop_runtime.model import Model, Outputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SliceResult:
    """How one part of the hold-out is answered."""

    name: str
    """`class=3` or `origin=production`"""
    rows: tuple[int, ...]
    quality: float
    """The mean of its answers' qualities."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a bundle answers on a snapshot's hold-out, and how good that is."""

    bundle: BundleId
    snapshot: SnapshotId
    classes: tuple[str, ...]
    samples: tuple[SampleId, ...]
    labels: tuple[str, ...]
    """Their texts, as the stores have them."""
    origins: tuple[str, ...]
    values: "NDArray[np.float32]"
    """The answers, `[N, ...]`, as the bundle's kind of answer has them."""
    metrics: Mapping[str, float]
    quality: str
    """What `qualities` are called, such as `accuracy`."""
    qualities: "NDArray[np.float64]"
    """How good each answer is, `[N]`; more is better."""
    groups: tuple[tuple[str, ...], ...] = ()
    """By what else is known of each sample, the parts it is in, such as `camera=phone`."""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """95% interval of each metric, NaN where it has none; nothing in evaluations of before."""
    singly: "Mapping[str, NDArray[np.float64]]" = field(default_factory=dict)
    """Metrics that the answers alone do not tell, as a figure of each sample, `[N]`."""

    @property
    def right_or_wrong(self) -> bool:
        """Whether an answer can only be right or wrong."""
        import numpy as np

        return bool(np.isin(self.qualities, (0.0, 1.0)).all())

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the mean quality: Wilson's of a share, otherwise by bootstrap."""
        if self.right_or_wrong:
            return wilson(int(self.qualities.sum()), len(self.samples))
        return bootstrap(self.qualities)

    def slices(self) -> tuple[SliceResult, ...]:
        """By class (or size of the figure), by origin and by what else is known, worst first."""
        groups: dict[str, list[int]] = {}
        told = self.groups or [()] * len(self.labels)
        parts = zip(groups_of(self.labels), self.origins, told, strict=True)
        for row, (names, origin, known) in enumerate(parts):
            for name in (*names, f"origin={origin}", *known):
                groups.setdefault(name, []).append(row)
        found = [
            SliceResult(name, tuple(rows), float(self.qualities[rows].mean()))
            for name, rows in groups.items()
        ]
        return tuple(sorted(found, key=lambda result: (result.quality, result.name)))


def evaluate(
    model: Model, snapshot: SnapshotId, holdout: SnapshotSide, task: Learnable
) -> Evaluation:
    """The evaluation of a loaded bundle on a hold-out that was read as it takes samples."""
    return evaluated(model, model.predict(holdout.inputs), snapshot, holdout, task)


def evaluated(
    model: Model,
    outputs: Outputs,
    snapshot: SnapshotId,
    holdout: SnapshotSide,
    task: Learnable,
    known: Sequence[Mapping[str, str]] = (),
) -> Evaluation:
    """The same from what the model gave, with the interval of each metric.

    `known`: what else is known of each sample, to tell slices apart.
    """
    singly: Mapping[str, NDArray[np.float64]] = {}
    more: dict[str, float] = {}
    if isinstance(model.bundle.answers, Hits):
        singly = ranking_by_query(outputs, holdout.targets, model.bundle.read("model.onnx"))
        more |= {name: float(each.mean()) for name, each in singly.items()}
    values = outputs.values
    if holdout.sizes and isinstance(model.bundle.answers, Boxes):
        more |= coco_by_size(values, holdout.targets, len(task.classes), holdout.sizes)
    found = measured(values, snapshot, holdout, task, model.bundle.id, more=more)
    found = replace(found, groups=tuple(told_apart(known)), singly=singly)
    draws = metric_draws(task, values, holdout.targets, singly)
    intervals = {name: interval(each) for name, each in draws.items()}
    if found.quality in intervals and found.right_or_wrong:
        # A share that is 0 or 1 has draws that are all alike; Wilson's interval has not.
        intervals[found.quality] = found.interval
    return replace(found, intervals=intervals)


def check_made_for(manifest: Manifest, task: Learnable) -> None:
    """Raise `Refused` when a bundle was learnt for another task."""
    stated = task.declaration()
    made = {name: manifest.task.get(name) for name in stated}
    if manifest.classes != task.classes or made != stated:
        raise Refused(
            f"the bundle was made for {canonical_json(made).decode()}; the task is "
            f"{canonical_json(dict(stated)).decode()} now"
        )


_NOT_NAMED_YET = BundleId("")


def measured(
    values: "NDArray[np.float32]",
    snapshot: SnapshotId,
    holdout: SnapshotSide,
    task: Learnable,
    bundle: BundleId = _NOT_NAMED_YET,
    *,
    more: Mapping[str, float] = MappingProxyType({}),
) -> Evaluation:
    """The evaluation of answers `[N, ...]` to the hold-out, in its order.

    `more`: metrics that the answers alone do not tell.
    """
    return Evaluation(
        bundle,
        snapshot,
        holdout.classes,
        holdout.samples,
        holdout.texts,
        holdout.origins,
        values,
        {**task.score(values, holdout.targets), **more},
        task.quality,
        task.qualities(values, holdout.targets),
    )


def save(folder: Path, evaluation: Evaluation) -> str:
    """Store an evaluation and return its digest; the same content is stored once."""
    count = len(evaluation.samples)
    told: dict[str, Json] = {
        "bundle": evaluation.bundle,
        "snapshot": evaluation.snapshot,
        "classes": list(evaluation.classes),
        "samples": list(evaluation.samples),
        "labels": list(evaluation.labels),
        "origins": list(evaluation.origins),
        "shape": list(evaluation.values.shape[1:]),
        # NaN is not JSON: what is not a number is stored as null.
        "values": [_or_null(row) for row in evaluation.values.reshape(count, -1).tolist()],
        "metrics": {n: v if math.isfinite(v) else None for n, v in evaluation.metrics.items()},
        "quality": evaluation.quality,
        "qualities": _or_null(evaluation.qualities.tolist()),
        "groups": [list(names) for names in evaluation.groups],
        "intervals": {name: _or_null(each) for name, each in evaluation.intervals.items()},
        "singly": {name: _or_null(each.tolist()) for name, each in evaluation.singly.items()},
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
    told = _as_now(told)
    values = np.asarray(told["values"], dtype=np.float32)
    return Evaluation(
        BundleId(told["bundle"]),
        SnapshotId(told["snapshot"]),
        tuple(told["classes"]),
        tuple(told["samples"]),
        tuple(told["labels"]),
        tuple(told["origins"]),
        values.reshape(len(values), *told["shape"]),
        {n: float("nan") if v is None else v for n, v in told["metrics"].items()},
        told["quality"],
        np.asarray(told["qualities"], dtype=np.float64),
        tuple(map(tuple, told.get("groups", ()))),
        {n: _interval(each) for n, each in told.get("intervals", {}).items()},
        {n: np.asarray(v, dtype=np.float64) for n, v in told.get("singly", {}).items()},
    )


def _interval(told: Sequence[float | None]) -> Interval:
    low, high = (math.nan if bound is None else bound for bound in told)
    return low, high


def _or_null(numbers: Sequence[float]) -> list[float | None]:
    return [number if math.isfinite(number) else None for number in numbers]


def _as_now(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an earlier version stored, which knew of classes only, as it is stored now."""
    if "probabilities" not in told:
        return told
    rows, classes, numbers = told["probabilities"], told["classes"], told["labels"]
    right = [
        float(None not in row and row.index(max(row)) == number)
        for row, number in zip(rows, numbers, strict=True)
    ]
    return {
        **told,
        "labels": [encode(ClassLabel(classes[number])) for number in numbers],
        "shape": [len(classes)],
        "values": rows,
        "quality": "accuracy",
        "qualities": right,
    }
