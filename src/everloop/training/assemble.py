"""From a learnt model to the graph of a bundle, with what it answers on both sides."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from everloop.data.training_data import SnapshotSide
from everloop.tasks.one_class import calibration_error
from everloop.tasks.task import Learnable
from everloop.training.calibration import calibrated
from everloop.training.export import export
from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.answers.declared import answer_kind
from everloop_runtime.answers.kind import AnswerKind
from everloop_runtime.bundle import Calibration
from everloop_runtime.model import Graph, Outputs
from everloop_runtime.samples import input_name

_COMPARED = 64
"""On how many samples the exported graph is compared with the framework."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """A graph, and what it answers."""

    onnx: bytes
    answer: Mapping[str, Any]
    """The manifest's declaration of the kind of answer."""
    kind: AnswerKind
    calibration: Calibration
    holdout: Outputs
    training: Outputs
    files: Mapping[str, bytes]
    """What else the bundle needs to answer: a search's index."""


def assemble(
    model: Any, data: SnapshotSide, held: SnapshotSide, task: Learnable, *, calibrate: bool
) -> Assembled:
    """The graph of `model`, calibrated on the hold-out where its kind of answer can be.

    Raises `Refused` as `export` does.
    """
    answer, files = task.answer(), dict[str, bytes]()
    kind = answer_kind(answer, task.classes)
    onnx = export(model, data.inputs[:_COMPARED], kind)
    calibration = Calibration(reason="only one class of several is calibrated")
    if kind.name == ClassProbabilities.name:
        onnx, calibration, on_holdout = calibrated(
            onnx,
            lambda graph: run(graph, held, kind),
            held.targets,
            lambda answers: calibration_error(answers, held.targets),
            wanted=calibrate,
        )
    else:
        on_holdout = run(onnx, held, kind)
    return Assembled(onnx, answer, kind, calibration, on_holdout, run(onnx, data, kind), files)


def run(onnx: bytes, side: SnapshotSide, kind: AnswerKind) -> Outputs:
    """What a graph answers to one side of a snapshot."""
    graph = Graph(onnx, taken=input_name(side.spec), output=kind.output)
    outputs = graph.run(side.inputs)
    return Outputs(kind.settle(outputs.values), outputs.embeddings)
