"""The manifest of a bundle, `bundle.json`: what a bundle says of itself.

Format `everloop-bundle/2`. Manifests of `everloop-bundle/1` are read too: what they do not say has
the defaults below.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from everloop_runtime.images import PREPROCESSING, ImageSpec

FORMAT = "everloop-bundle/2"
OLD_FORMAT = "everloop-bundle/1"

_NAMES = re.compile(
    r"model\.onnx|reference\.npz|golden/outputs\.npz|golden/[0-9]{3}|card\.md|MLmodel"
    r"|requirements\.txt|python_env\.yaml"
)
"""Every file that a bundle may hold. No name of these is one that any tool would execute."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _grey_or_rgb(channels: int) -> int:
    if channels not in {1, 3}:
        raise ValueError("1 (grey) or 3 (RGB) channels are wanted")
    return channels


class InputSpec(_Part):
    """The pixels the graph takes."""

    height: int = Field(ge=1, le=8192)
    width: int = Field(ge=1, le=8192)
    channels: Annotated[int, AfterValidator(_grey_or_rgb)]


class FileEntry(_Part):
    """One file of the bundle."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class TensorSpec(_Part):
    """One input or output of the graph."""

    name: str
    type: Literal["uint8", "float32"]
    shape: tuple[int | None, ...]
    """None stands for any number: of samples, first."""


class Signature(_Part):
    """What the graph takes and gives."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


class Calibration(_Part):
    """How the graph's probabilities were made to mean what they say.

    The temperature (Guo et al. 2017, "On Calibration of Modern Neural Networks") is applied inside
    the graph, so that no runtime can leave it out; it never changes which class is the answer.
    """

    method: Literal["temperature", "none"] = "none"
    temperature: float = Field(default=1.0, gt=0)
    samples: int = Field(default=0, ge=0)
    """Hold-out samples it was fitted on."""
    error_before: float | None = None
    """Expected calibration error on them without the temperature."""
    error_after: float | None = None
    reason: str = "not recorded"
    """Why this method."""


class Thresholds(_Part):
    """From which confidence on an answer may be acted on without a person."""

    confidence: float | None = Field(default=None, ge=0, le=1)
    """None: the product has not set a precision to hold."""
    precision: float | None = None
    """Share of right answers at or above it, on the hold-out."""
    coverage: float | None = None
    """Share of the hold-out's answers at or above it."""


def _each_once(classes: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(classes)) != len(classes) or not all(classes):
        raise ValueError("each class is named, and named once")
    return classes


class BundleDraft(_Part):
    """What a bundle says of itself, before its files are known."""

    product: str = Field(min_length=1, max_length=200)
    task: dict[str, Any]
    input: InputSpec
    classes: Annotated[
        tuple[str, ...], Field(min_length=1, max_length=100_000), AfterValidator(_each_once)
    ]
    lineage: dict[str, Any]
    """Run, snapshot, code, parameters and environment it comes from."""
    tolerance: float = Field(default=1e-4, gt=0, le=0.01)
    """How far an answer to a golden input may be from the recorded one."""
    signature: Signature | None = None
    """None in old bundles, and until the draft is built."""
    calibration: Calibration = Calibration()
    thresholds: Thresholds = Thresholds()


class Manifest(BundleDraft):
    """The whole of `bundle.json`."""

    format: Literal["everloop-bundle/1", "everloop-bundle/2"] = "everloop-bundle/2"
    preprocessing: Literal["image/1"] = "image/1"
    files: dict[str, FileEntry] = Field(max_length=10_000)

    @property
    def spec(self) -> ImageSpec:
        """The pixels the graph takes."""
        return ImageSpec(self.input.height, self.input.width, self.input.channels)


def is_bundle_file(name: str) -> bool:
    """Whether a bundle may hold a file of this name."""
    return _NAMES.fullmatch(name) is not None


def signature_of(spec: InputSpec, classes: int, embedding: int | None) -> Signature:
    """The signature of an image classifier; `embedding`: numbers in its embedding, if fixed."""
    pixels = TensorSpec(
        name="image", type="uint8", shape=(None, spec.height, spec.width, spec.channels)
    )
    return Signature(
        inputs=(pixels,),
        outputs=(
            TensorSpec(name="probabilities", type="float32", shape=(None, classes)),
            TensorSpec(name="embedding", type="float32", shape=(None, embedding)),
        ),
    )


assert PREPROCESSING == "image/1"  # noqa: S101 - the literal in Manifest and the constant agree
