"""How good a model is that nobody is going to serve: the task's metrics on the validation part.

The framework itself is asked where it can be: an export to ONNX takes seconds, which a thousand
trials would pay a thousand times. What is learnt with the parameters that won is exported, compared
and measured as any other model.
"""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from everloop.data.training_data import SnapshotSide
from everloop.errors import Refused
from everloop.evaluation.ranking import ranking_metrics
from everloop.tasks.task import Learnable
from everloop.training.assemble import assemble
from everloop.training.export_tables import is_table_model, table_answers
from everloop_runtime.answers.declared import answer_kind
from everloop_runtime.answers.hits import Hits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from everloop_runtime.answers.kind import AnswerKind


def metrics_of(
    model: Any, learnt: SnapshotSide, held: SnapshotSide, task: Learnable
) -> Mapping[str, float]:
    """The task's metrics of what `model` answers to `held`.

    Raises `Refused` as an export does when the model is none of the kinds that are taken.
    """
    kind = answer_kind(task.answer(), task.classes)
    more: Mapping[str, float] = {}
    values = None if isinstance(kind, Hits) else _asked(model, held, kind)
    if values is None:
        made = assemble(model, learnt, held, task, calibrate=False)
        values = made.holdout.values
        if isinstance(kind, Hits):
            more = ranking_metrics(made.holdout, held.targets, made.onnx)
    return {**task.score(values, held.targets), **more}


def _asked(model: Any, held: SnapshotSide, kind: "AnswerKind") -> "NDArray[np.float32] | None":
    """The framework's own answers; None where it has to be asked through a graph."""
    import numpy as np

    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        from everloop.training.export_torch import torch_answers

        given = torch_answers(model, held.inputs, kind)
    elif is_table_model(model):
        given = np.asarray(table_answers(model, held.inputs, kind), np.float32)
        given = given.reshape(len(held.inputs), -1)
    else:
        return None
    if len(given) != len(held.inputs) or not _fits(given.shape[1:], kind.raw_shape):
        raise Refused(
            f"the model gives {given.shape} for {len(held.inputs)} samples, where "
            f"{kind.raw_shape} is wanted for each"
        )
    return kind.settle(given)


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Whether shapes agree where None stands for any number."""
    return len(found) == len(wanted) and all(
        w is None or f == w for f, w in zip(found, wanted, strict=True)
    )
