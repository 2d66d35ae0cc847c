"""A bundle's model, running: images in, answers out, the same wherever it runs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop_runtime.errors import Refused
from everloop_runtime.golden import read_golden
from everloop_runtime.images import DEFAULT_LIMITS, ImageLimits, to_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from everloop_runtime.bundle import Bundle

_BATCH = 256


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the graph gives for N images."""

    probabilities: "NDArray[np.float32]"
    """`[N, K]`, one column a class."""
    embeddings: "NDArray[np.float32]"
    """`[N, D]`, what the last layer saw."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of one image."""

    label: str
    confidence: float
    probabilities: tuple[float, ...]
    embedding: tuple[float, ...]


class Graph:
    """An ONNX graph of the bundle's contract.

    Raises `Refused` when it is not such a graph, or when it refers to another file.
    """

    def __init__(self, onnx: bytes, threads: int = 1) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 4
        # A thread that spins for work takes a core from the rest of the service.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
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

    def run(self, images: "NDArray[np.uint8]") -> Outputs:
        """The outputs for uint8 `[N, H, W, C]`, computed in batches of bounded size."""
        import numpy as np

        parts = [self._run(images[at : at + _BATCH]) for at in range(0, len(images), _BATCH)]
        if not parts:
            raise Refused("no image to run")
        return Outputs(
            np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
        )

    def _run(
        self, images: "NDArray[np.uint8]"
    ) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        try:
            first, second = self._session.run(["probabilities", "embedding"], {"image": images})
        except Exception as error:
            raise Refused(f"the graph fails on {images.shape}: {str(error)[:300]}") from error
        return first, second


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
        import numpy as np

        inputs, expected = read_golden(self.bundle)
        given = self.predict(self.decode(inputs)).probabilities
        if given.shape != expected.shape or not np.isfinite(given).all():
            raise Refused(f"bundle {self.bundle.id[:8]} gives no valid answers to golden inputs")
        difference = float(np.abs(given - expected).max())
        tolerance = self.bundle.manifest.tolerance
        if not difference <= tolerance:
            raise Refused(
                f"bundle {self.bundle.id[:8]} answers its golden inputs {difference:.2g} away from "
                f"the recorded answers; at most {tolerance:g} is allowed"
            )

    def decode(self, images: Sequence[bytes]) -> "NDArray[np.uint8]":
        """The pixels of image files as the model takes them, `[N, H, W, C]`."""
        import numpy as np

        spec = self.bundle.manifest.spec
        return np.stack([to_array(data, spec, self._limits) for data in images])

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
