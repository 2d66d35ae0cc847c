"""A bundle's model, running: images in, answers out, the same wherever it runs."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop_runtime.errors import Refused
from everloop_runtime.golden import read_golden
from everloop_runtime.graph_check import check_graph
from everloop_runtime.images import DEFAULT_LIMITS, ImageLimits, ImageSpec, to_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from everloop_runtime.bundle import Bundle

_BATCH = 256
_LOOP_SECONDS = 10.0
"""How long one run of a graph with loops may take; without loops work is bounded by the graph."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the graph gives for N images."""

    probabilities: "NDArray[np.float32]"
    """`[N, K]`, one column a class."""
    embeddings: "NDArray[np.float32]"
    """`[N, D]`, what the last layer saw."""

    def rows(self, which: Sequence[int]) -> "Outputs":
        """Some of the rows."""
        return Outputs(self.probabilities[list(which)], self.embeddings[list(which)])


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of one image."""

    label: str
    confidence: float
    probabilities: tuple[float, ...]
    embedding: tuple[float, ...]


class Graph:
    """An ONNX graph of the bundle's contract.

    Raises `Refused` when it is not such a graph, and as `check_graph` does. A graph with loops
    that runs longer than `seconds` is stopped, and refused.
    """

    def __init__(self, onnx: bytes, threads: int = 1, seconds: float = _LOOP_SECONDS) -> None:
        # Before the import: what is refused here costs nothing.
        facts = check_graph(onnx)
        import onnxruntime as ort

        self._seconds = seconds if facts.control_flow else None
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
        wanted = {("probabilities", "tensor(float)"), ("embedding", "tensor(float)")}
        if inputs != [("image", "tensor(uint8)")] or not wanted <= outputs:
            raise Refused(
                f"the graph takes {inputs} and gives {sorted(outputs)}; wanted: image uint8 in, "
                "probabilities and embedding float out"
            )

    @property
    def is_bounded(self) -> bool:
        """Whether a run's work is bounded by the graph: it has no loops."""
        return self._seconds is None

    def check_shapes(self, spec: ImageSpec, classes: int) -> None:
        """Raise `Refused` when the graph is made for other pixels or another number of classes."""
        taken = tuple(self._session.get_inputs()[0].shape[1:])
        outputs = {output.name: output.shape for output in self._session.get_outputs()}
        given = tuple(outputs["probabilities"][1:])
        if not _fits(taken, (spec.height, spec.width, spec.channels)):
            raise Refused(f"the graph takes pixels {taken}; the manifest says {spec}")
        if not _fits(given, (classes,)):
            raise Refused(f"the graph gives {given} probabilities; the manifest names {classes}")

    def run(self, images: "NDArray[np.uint8]") -> Outputs:
        """The outputs for uint8 `[N, H, W, C]`, computed in batches of bounded size."""
        import numpy as np

        if 0 < len(images) <= _BATCH:
            return Outputs(*self._run(images))
        parts = [self._run(images[at : at + _BATCH]) for at in range(0, len(images), _BATCH)]
        if not parts:
            raise Refused("no image to run")
        return Outputs(
            np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
        )

    def _run(
        self, images: "NDArray[np.uint8]"
    ) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        names, taken = ["probabilities", "embedding"], {"image": images}
        try:
            if self._seconds is None:
                first, second = self._session.run(names, taken)
            else:
                with _stopped_after(self._seconds) as options:
                    first, second = self._session.run(names, taken, options)
        except Exception as error:
            raise Refused(f"the graph fails on {images.shape}: {str(error)[:300]}") from error
        return first, second


def _fits(found: "tuple[int | str | None, ...]", wanted: tuple[int, ...]) -> bool:
    """Whether a graph's shape is the wanted one; names and None stand for any number."""
    return len(found) == len(wanted) and all(
        not isinstance(a, int) or a == b for a, b in zip(found, wanted, strict=True)
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
    spec: ImageSpec,
    tolerance: float,
    limits: ImageLimits,
) -> None:
    """Run golden inputs; `expected`: `[len(inputs), K]`.

    Raises `Refused` when an answer is no number, or further than `tolerance` from what is expected.
    """
    import numpy as np

    given = graph.run(_decoded(inputs, spec, limits)).probabilities
    if given.shape != expected.shape or not np.isfinite(given).all():
        raise Refused("it gives no valid answers to its golden inputs")
    difference = float(np.abs(given - expected).max())
    if not difference <= tolerance:
        raise Refused(
            f"it answers its golden inputs {difference:.2g} away from the recorded answers; "
            f"at most {tolerance:g} is allowed"
        )


def _decoded(images: Sequence[bytes], spec: ImageSpec, limits: ImageLimits) -> "NDArray[np.uint8]":
    import numpy as np

    return np.stack([to_array(data, spec, limits) for data in images])


class Model:
    """A verified bundle, loaded; its golden inputs gave their recorded answers here."""

    def __init__(self, bundle: "Bundle", graph: Graph, limits: ImageLimits) -> None:
        self.bundle = bundle
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
        model = cls(bundle, Graph(bundle.read("model.onnx"), threads), limits)
        model._replay_golden()
        return model

    def _replay_golden(self) -> None:
        manifest = self.bundle.manifest
        inputs, expected = read_golden(self.bundle)
        try:
            self._graph.check_shapes(manifest.spec, len(manifest.classes))
            replay_golden(
                self._graph, inputs, expected, manifest.spec, manifest.tolerance, self._limits
            )
        except Refused as error:
            raise Refused(f"bundle {self.bundle.id[:8]}: {error}") from error

    @property
    def is_bounded(self) -> bool:
        """Whether a run's work is bounded by the graph: it has no loops."""
        return self._graph.is_bounded

    def decode(self, images: Sequence[bytes]) -> "NDArray[np.uint8]":
        """The pixels of image files as the model takes them, `[N, H, W, C]`."""
        return _decoded(images, self.bundle.manifest.spec, self._limits)

    def predict(self, images: "NDArray[np.uint8]") -> Outputs:
        """The outputs for uint8 `[N, H, W, C]`."""
        return self._graph.run(images)

    def answers(self, images: "NDArray[np.uint8]") -> list[Answer]:
        """One answer an image; `Refused` if one is not finite."""
        return answers_of(self.predict(images), self.bundle.manifest.classes)


def answers_of(outputs: Outputs, classes: Sequence[str]) -> list[Answer]:
    """One answer a row of the graph's outputs; `Refused` if one is not finite."""
    import numpy as np

    if not np.isfinite(outputs.probabilities).all():
        raise Refused("the model gave an answer that is not a number")
    best = outputs.probabilities.argmax(axis=1)
    return [
        Answer(
            classes[index],
            float(row[index]),
            tuple(map(float, row)),
            tuple(map(float, embedding)),
        )
        for index, row, embedding in zip(
            best, outputs.probabilities, outputs.embeddings, strict=True
        )
    ]
