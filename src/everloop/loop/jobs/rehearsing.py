"""The hold-out answered under damage, so that monitoring knows what damage looks like and costs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from everloop.data.training_data import SnapshotSide
from everloop.evaluation.robustness.suite import damaged, fitting, picked
from everloop.monitoring.inputs import input_figures
from everloop.monitoring.reference import read_reference
from everloop.monitoring.rehearsal import Rehearsal, Tried, rehearse
from everloop.monitoring.watch import Watch
from everloop.tasks.task import Learnable
from everloop.training.assemble import Assembled
from everloop_runtime.model import Graph
from everloop_runtime.samples import input_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRENGTHS = (1, 2, 3, 4, 5)
_SAMPLES = 128
"""Of the hold-out, under each damage at each strength: a few thousand answers altogether."""
RIGHT = 0.5
"""The quality from which on an answer counts as right, where there is more than right and wrong."""


def rehearsed(made: Assembled, reference: bytes, held: SnapshotSide, task: Learnable) -> Rehearsal:
    """What the bundle is to know of damage: every kind that fits its inputs, at five strengths.

    The samples are the first by their ids, so the same of one hold-out each time.
    """
    import numpy as np

    which = sorted(sorted(range(len(held)), key=lambda row: held.samples[row])[:_SAMPLES])
    targets = picked(held.targets, which)
    graph = Graph(made.onnx, taken=input_name(held.spec), output=made.kind.output)

    def tried(parts: "Sequence[NDArray[Any]]") -> Tried:
        outputs = [graph.run(part) for part in parts]
        values = made.kind.settle(np.concatenate([each.values for each in outputs]))
        return Tried(
            values,
            np.concatenate([each.embeddings for each in outputs]),
            input_figures(np.concatenate(parts), held.spec),
            task.qualities(values, targets) >= RIGHT,
        )

    spoilt = (
        list(damaged(damage, held, which, name, strength))
        for name, damage in fitting(held, task).items()
        for strength in STRENGTHS
    )
    watch = Watch(read_reference(reference), task)
    return rehearse(watch, tried([held.inputs[which]]), [tried(parts) for parts in spoilt if parts])
