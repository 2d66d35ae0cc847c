"""A bundle as a library: one object, one `predict`.

The wheel that `everloop package wheel` makes is this, with its bundle inside.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from everloop_runtime.admission import Admission, admit
from everloop_runtime.errors import Refused
from everloop_runtime.ids import BundleId
from everloop_runtime.images import ImageLimits, pixels_to_array, to_array
from everloop_runtime.model import Answer, Model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Picture: TypeAlias = "str | os.PathLike[str] | bytes | NDArray[np.uint8]"
"""A file's place, a file's bytes, or its pixels: uint8 `[H, W]`, `[H, W, 3]` RGB, `[H, W, 4]`."""

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

    def predict(self, picture: Picture) -> Answer:
        """The answer for one picture. Raises `Refused` when it cannot be taken."""
        return self.predict_all([picture])[0]

    def predict_all(self, pictures: Sequence[Picture]) -> list[Answer]:
        """One answer a picture, in their order; `Refused` when one cannot be taken."""
        import numpy as np

        return self._model.answers(np.stack([self.pixels(picture) for picture in pictures]))

    def answers(self, pixels: "NDArray[np.uint8]") -> list[Answer]:
        """One answer for each of the model's own inputs, uint8 `[N, H, W, C]`; see `pixels`."""
        return self._model.answers(pixels)

    def pixels(self, picture: Picture) -> "NDArray[np.uint8]":
        """What the model sees of a picture: uint8 `[H, W, C]` of its own size."""
        spec = self._model.bundle.manifest.spec
        if isinstance(picture, bytes):
            return to_array(picture, spec, self.limits)
        if isinstance(picture, (str, os.PathLike)):
            return to_array(read_picture(Path(picture), self.limits), spec, self.limits)
        return pixels_to_array(picture, spec, self.limits)


def read_picture(path: Path, limits: ImageLimits) -> bytes:
    """A file's bytes; of a file beyond the limits one byte too many, which decoding refuses.

    Raises `Refused` when it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(limits.max_bytes + 1)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error}") from error
