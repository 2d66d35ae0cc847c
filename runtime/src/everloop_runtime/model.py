"""A bundle's model, running: samples in, answers out, the same wherever it runs."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop_runtime.answers.kind import Answer, AnswerKind
from everloop_runtime.errors import Refused
from everloop_runtime.golden import read_golden
from everloop_runtime.graph_check import check_graph
from everloop_runtime.images import DEFAULT_LIMITS, ImageLimits
from everloop_runtime.samples import Spec, input_name, to_input

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from everloop_runtime.bundle import Bundle

_BATCH = 256
_LOOP_SECONDS = 10.0
"""How long one run of a graph with loops may take; without loops work is bounded by the graph."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the graph gives for N samples."""

    values: "NDArray[np.float32]"
    """`[N, ...]`, the numbers of the answers; see the bundle's kind of answer."""
    embeddings: "NDArray[np.float32]"
    """`[N, D]`, what the last layer saw."""

    def rows(self, which: Sequence[int]) -> "Outputs":
        """Some of the rows."""
        return Outputs(self.values[list(which)], self.embeddings[list(which)])


class Graph:
    """An ONNX graph of the bundle's contract.

    It takes `image` (uint8) or `row` (float32), and gives `output` and `embedding` (float32).
    Raises `Refused` when it is not such a graph, and as `check_graph` does. A graph with loops
    that runs longer than `seconds` is stopped, and refused.
    """

    def __init__(
        self,
        onnx: bytes,
        threads: int = 1,
        seconds: float = _LOOP_SECONDS,
        *,
        taken: str = "image",
        output: str = "probabilities",
    ) -> None:
        # Before the import: what is refused here costs nothing.
        facts = check_graph(onnx)
        import onnxruntime as ort

        self._seconds = seconds if facts.control_flow else None
        self._taken, self._outputs = taken, [output, "embedding"]
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 4
        # A thread that spins for work takes a core from the rest of the service.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # The bytes were checked as ONNX: they may not be taken for ONNX Runtime's own format.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        # Weights outside the graph would be looked for here, where no file can be.
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", os.devnull
        )
        try:
            self._session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise Refused(f"the graph cannot be loaded: {str(error)[:300]}") from error
        self._check_contract()

    def _check_contract(self) -> None:
        inputs = [(i.name, i.type) for i in self._session.get_inputs()]
        outputs = {(o.name, o.type) for o in self._session.get_outputs()}
        wanted = {(name, "tensor(float)") for name in self._outputs}
        numbers = "uint8" if self._taken == "image" else "float"
        if inputs != [(self._taken, f"tensor({numbers})")] or not wanted <= outputs:
            raise Refused(
                f"the graph takes {inputs} and gives {sorted(outputs)}; wanted: {self._taken} "
                f"{numbers} in, {self._outputs[0]} and embedding float out"
            )

    @property
    def is_bounded(self) -> bool:
        """Whether a run's work is bounded by the graph: it has no loops."""
        return self._seconds is None

    def check_shapes(self, spec: Spec, kind: AnswerKind) -> None:
        """Raise `Refused` when the graph is made for other inputs or other answers."""
        taken = tuple(self._session.get_inputs()[0].shape[1:])
        outputs = {output.name: output.shape for output in self._session.get_outputs()}
        given = tuple(outputs[kind.output][1:])
        if not _fits(taken, spec.shape):
            raise Refused(f"the graph takes {self._taken}s {taken}; the manifest says {spec}")
        if not _fits(given, kind.raw_shape):
            raise Refused(
                f"the graph gives {given} {kind.output}; the manifest says {kind.raw_shape}"
            )

    def run(self, images: "NDArray[Any]") -> Outputs:
        """The outputs for inputs `[N, ...]`, computed in batches of bounded size."""
        import numpy as np

        if 0 < len(images) <= _BATCH:
            return Outputs(*self._run(images))
        parts = [self._run(images[at : at + _BATCH]) for at in range(0, len(images), _BATCH)]
        if not parts:
            raise Refused("no sample to run")
        return Outputs(
            np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
        )

    def _run(self, images: "NDArray[Any]") -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        names, taken = self._outputs, {self._taken: images}
        try:
            if self._seconds is None:
                first, second = self._session.run(names, taken)
            else:
                with _stopped_after(self._seconds) as options:
                    first, second = self._session.run(names, taken, options)
        except Exception as error:
            raise Refused(f"the graph fails on {images.shape}: {str(error)[:300]}") from error
        return first, second


def _fits(found: "tuple[int | str | None, ...]", wanted: "tuple[int | None, ...]") -> bool:
    """Whether a graph's shape is the wanted one; names and None stand for any number."""
    return len(found) == len(wanted) and all(
        not isinstance(a, int) or b is None or a == b for a, b in zip(found, wanted, strict=True)
    )


@contextmanager
def _stopped_after(seconds: float) -> Iterator[Any]:
    """Options of one run that is told to stop when its time is over."""
    import onnxruntime as ort

    options = ort.RunOptions()
    timer = threading.Timer(seconds, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield options
    finally:
        timer.cancel()


def replay_golden(
    graph: Graph,
    inputs: Sequence[bytes],
    expected: "NDArray[np.float32]",
    spec: Spec,
    kind: AnswerKind,
    tolerance: float,
    limits: ImageLimits,
) -> None:
    """Run golden inputs; `expected`: `[len(inputs), *kind.shape]`.

    Raises `Refused` when an answer is no number, or further than `tolerance` from what is expected.
    """
    import numpy as np

    given = kind.settle(graph.run(_decoded(inputs, spec, limits)).values)
    if given.shape != expected.shape or not np.isfinite(given).all():
        raise Refused("it gives no valid answers to its golden inputs")
    difference = float(kind.distance(given, expected).max())
    if not difference <= tolerance:
        raise Refused(
            f"it answers its golden inputs {difference:.2g} away from the recorded answers; "
            f"at most {tolerance:g} is allowed"
        )


def _decoded(samples: Sequence[bytes], spec: Spec, limits: ImageLimits) -> "NDArray[Any]":
    import numpy as np

    return np.stack([to_input(data, spec, limits) for data in samples])


class Model:
    """A verified bundle, loaded; its golden inputs gave their recorded answers here."""

    def __init__(self, bundle: "Bundle", graph: Graph, limits: ImageLimits) -> None:
        self.bundle = bundle
        self.kind = bundle.answers
        self._graph = graph
        self._limits = limits

    @classmethod
    def load(
        cls, bundle: "Bundle", *, threads: int = 1, limits: ImageLimits = DEFAULT_LIMITS
    ) -> "Model":
        """Load a bundle and replay its golden inputs.

        Raises `Refused` when the graph is not of the contract, or when an answer is not finite
        or further from the recorded one than the manifest's tolerance.
        """
        graph = Graph(
            bundle.read("model.onnx"),
            threads,
            taken=input_name(bundle.manifest.spec),
            output=bundle.answers.output,
        )
        model = cls(bundle, graph, limits)
        model._replay_golden()
        return model

    def _replay_golden(self) -> None:
        manifest = self.bundle.manifest
        inputs, expected = read_golden(self.bundle)
        try:
            spec, kind, tolerance = manifest.spec, self.kind, manifest.tolerance
            self._graph.check_shapes(spec, kind)
            replay_golden(self._graph, inputs, expected, spec, kind, tolerance, self._limits)
        except Refused as error:
            raise Refused(f"bundle {self.bundle.id[:8]}: {error}") from error

    @property
    def is_bounded(self) -> bool:
        """Whether a run's work is bounded by the graph: it has no loops."""
        return self._graph.is_bounded

    def decode(self, samples: Sequence[bytes]) -> "NDArray[Any]":
        """Samples as the model takes them, `[N, H, W, C]` or `[N, features]`."""
        return _decoded(samples, self.bundle.manifest.spec, self._limits)

    def predict(self, inputs: "NDArray[Any]") -> Outputs:
        """The outputs for decoded samples."""
        outputs = self._graph.run(inputs)
        settled = self.kind.settle(outputs.values)
        return outputs if settled is outputs.values else Outputs(settled, outputs.embeddings)

    def answers(self, inputs: "NDArray[Any]") -> list[Answer]:
        """One answer a decoded sample; `Refused` if one is not finite."""
        return answers_of(self.predict(inputs), self.kind)


def answers_of(outputs: Outputs, kind: AnswerKind) -> list[Answer]:
    """One answer a row of the outputs; `Refused` if one is not finite."""
    import json

    import numpy as np

    if not np.isfinite(outputs.values).all():
        raise Refused("the model gave an answer that is not a number")
    are_probabilities = kind.output == "probabilities"
    return [
        Answer(
            told.label,
            float("nan") if told.confidence is None else told.confidence,
            tuple(map(float, row)) if are_probabilities else (),
            tuple(map(float, embedding)),
            json.loads(b"{%b}" % told.body),
        )
        for told, row, embedding in zip(
            kind.tell(outputs.values), outputs.values, outputs.embeddings, strict=True
        )
    ]
