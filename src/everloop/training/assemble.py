"""From a learnt model to the graph of a bundle, with what it answers on both sides."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from everloop.data.training_data import SnapshotSide
from everloop.tasks.one_class import calibration_error
from everloop.tasks.search_graph import VECTORS, Index, with_search
from everloop.tasks.task import Learnable
from everloop.training.calibration import calibrated
from everloop.training.export import export
from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.answers.declared import answer_kind
from everloop_runtime.answers.hits import Hits
from everloop_runtime.answers.kind import AnswerKind
from everloop_runtime.bundle import INDEX, Calibration
from everloop_runtime.ids import canonical_json
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
    if isinstance(kind, Hits):
        answer = {**answer, "most": min(kind.most, len(data))}
        kind = answer_kind(answer, task.classes, data.samples)
        onnx = _searching(onnx, data, answer["most"])
        files[INDEX] = canonical_json({"samples": list(data.samples)})
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


def _searching(onnx: bytes, data: SnapshotSide, most: int) -> bytes:
    """The graph with the training side as its index, embedded by the graph itself."""
    vectors = Graph(onnx, taken=input_name(data.spec), output=VECTORS).run(data.inputs).values
    return with_search(onnx, Index(vectors, data.targets), most)


def run(onnx: bytes, side: SnapshotSide, kind: AnswerKind) -> Outputs:
    """What a graph answers to one side of a snapshot."""
    graph = Graph(onnx, taken=input_name(side.spec), output=kind.output)
    outputs = graph.run(side.inputs)
    return Outputs(kind.settle(outputs.values), outputs.embeddings)
