"""A learnt model made into a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.data.training_data import SnapshotSide
from everloop.evaluation.card import bundle_card
from everloop.evaluation.evaluate import measured
from everloop.evaluation.ranking import ranking_metrics
from everloop.ids import BundleId, Json, SnapshotId
from everloop.loop.jobs.rehearsing import RIGHT, rehearsed
from everloop.monitoring.inputs import input_figures
from everloop.monitoring.reference import Known, build_reference
from everloop.tasks.task import Learnable
from everloop.training.assemble import Assembled, assemble
from everloop.training.calibration import choose_threshold
from everloop_runtime.answers.hits import Hits
from everloop_runtime.bundle import BundleDraft, build_bundle, stated_input
from everloop_runtime.golden import golden_files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GOLDEN = 8
"""How many real inputs travel with the bundle."""
_MEASURED = 4000


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a model was learnt from and is measured on."""

    product: str
    task: Learnable
    snapshot: SnapshotId
    data: SnapshotSide
    held: SnapshotSide
    golden: Sequence[bytes]
    """The original bytes of the hold-out's first samples."""
    lineage: Mapping[str, Json]
    calibrate: bool = True
    precision: float = 0.0
    """What answers are to hold from the bundle's threshold on; 0 asks for none."""


def bundle_of(bundles: Path, model: object, learnt: Learnt) -> BundleId:
    """Export what a training function returned, and write the bundle under `bundles`.

    Raises `Refused` when it cannot be exported. The bundle holds nothing that differs between two
    runs of the same inputs (no time, no duration).
    """
    task, data, held = learnt.task, learnt.data, learnt.held
    made = assemble(model, data, held, task, calibrate=learnt.calibrate)
    answers = made.holdout.values
    right = task.qualities(answers, held.targets) >= RIGHT
    draft = BundleDraft(
        product=learnt.product,
        task=dict(task.declaration()),
        input=stated_input(data.spec),
        answer=dict(made.answer),
        classes=task.classes,
        lineage=dict(learnt.lineage),
        calibration=made.calibration,
        thresholds=choose_threshold(task.confidences(answers), right, learnt.precision),
    )
    embeddings = made.training.embeddings
    known = Known(
        task=task,
        training=made.training.values,
        training_inputs=_figures(data),
        inputs=_figures(held),
        targets=held.targets,
    )
    reference = build_reference(answers, made.holdout.embeddings, right, embeddings, known)
    files = {
        "model.onnx": made.onnx,
        "reference.npz": rehearsed(made, reference, held, task).added_to(reference),
        "card.md": _card(draft, made, learnt).encode(),
        **made.files,
        **golden_files(learnt.golden, answers[: len(learnt.golden)], made.kind.output),
    }
    return build_bundle(bundles, draft, files)


def _figures(side: SnapshotSide) -> "Mapping[str, NDArray[np.float32]]":
    """What is watched of the inputs, of a bounded number of them spread over the side."""
    some = side.inputs[:: -(-len(side) // _MEASURED)]
    return {**input_figures(some, side.spec), **side.files}


def _card(draft: BundleDraft, made: Assembled, learnt: Learnt) -> str:
    held, more = learnt.held, dict[str, float]()
    if isinstance(made.kind, Hits):
        more |= ranking_metrics(made.holdout, held.targets, made.onnx)
    found = measured(made.holdout.values, learnt.snapshot, held, learnt.task, more=more)
    return bundle_card(draft, found, trained_on=len(learnt.data))
