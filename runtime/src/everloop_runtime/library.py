"""A bundle as a library: one object, one `predict`.

The wheel that `everloop package wheel` makes is this, with its bundle inside.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from everloop_runtime.admission import Admission, admit
from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.answers.kind import Answer
from everloop_runtime.errors import Refused
from everloop_runtime.ids import BundleId
from everloop_runtime.images import ImageLimits, ImageSpec, pixels_to_array
from everloop_runtime.model import Model
from everloop_runtime.rows import canonical_row
from everloop_runtime.samples import to_input

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Picture: TypeAlias = "str | os.PathLike[str] | bytes | NDArray[np.uint8]"
"""A file's place, a file's bytes, or its pixels: uint8 `[H, W]`, `[H, W, 3]` RGB, `[H, W, 4]`."""
Sample: TypeAlias = "Picture | Mapping[str, Any]"
"""A picture, or a row by its columns: whichever the bundle takes."""

DEFAULT_ADMISSION = Admission()


class Predictor:
    """A bundle, loaded and proven on its golden inputs; threads may share it."""

    def __init__(
        self,
        path: Path,
        expected: BundleId | None = None,
        *,
        admission: Admission = DEFAULT_ADMISSION,
        threads: int = 1,
    ) -> None:
        """Load the bundle in the folder `path`; `Refused` as `admit` and `Model.load` do."""
        bundle = admit(path, expected, admission)
        self.limits = admission.limits
        self._model = Model.load(bundle, threads=threads, limits=admission.limits)

    @property
    def id(self) -> BundleId:
        """The bundle's id."""
        return self._model.bundle.id

    @property
    def classes(self) -> tuple[str, ...]:
        """What the numbers of `Answer.probabilities` stand for, in their order."""
        return self._model.bundle.manifest.classes

    @property
    def takes_rows(self) -> bool:
        """Whether samples are rows by their columns; else they are pictures."""
        return not isinstance(self._model.bundle.manifest.spec, ImageSpec)

    @property
    def gives_classes(self) -> bool:
        """Whether an answer is one class, with a probability for each."""
        return self._model.kind.name == ClassProbabilities.name

    def predict(self, sample: Sample) -> Answer:
        """The answer for one picture or row. Raises `Refused` when it cannot be taken."""
        return self.predict_all([sample])[0]

    def predict_all(self, samples: Sequence[Sample]) -> list[Answer]:
        """One answer a sample, in their order; `Refused` when one cannot be taken."""
        import numpy as np

        return self._model.answers(np.stack([self.seen(sample) for sample in samples]))

    def answers(self, seen: "NDArray[Any]") -> list[Answer]:
        """One answer for each of the model's own inputs; see `seen`."""
        return self._model.answers(seen)

    def seen(self, sample: Sample) -> "NDArray[Any]":
        """What the model sees of a sample: uint8 `[H, W, C]`, or float32, one a feature."""
        spec = self._model.bundle.manifest.spec
        if isinstance(sample, Mapping):
            return to_input(canonical_row(sample), spec, self.limits)
        if isinstance(sample, bytes):
            return to_input(sample, spec, self.limits)
        if isinstance(sample, (str, os.PathLike)):
            return to_input(read_picture(Path(sample), self.limits), spec, self.limits)
        if not isinstance(spec, ImageSpec):
            raise Refused("this model takes rows, each its columns by name; got pixels")
        return pixels_to_array(sample, spec, self.limits)


def read_picture(path: Path, limits: ImageLimits) -> bytes:
    """A file's bytes; of a file beyond the limits one byte too many, which decoding refuses.

    Raises `Refused` when it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(limits.max_bytes + 1)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error}") from error
