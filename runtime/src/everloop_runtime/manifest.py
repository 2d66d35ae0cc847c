"""The manifest of a bundle, `bundle.json`: what a bundle says of itself.

Format `everloop-bundle/3`. Manifests of `everloop-bundle/1` and `/2` are read too: what they do not
say has the defaults below.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from everloop_runtime.answers.declared import CLASSES
from everloop_runtime.images import PREPROCESSING, ImageSpec
from everloop_runtime.rows import PREPROCESSING as ROWS
from everloop_runtime.rows import Feature, RowSpec
from everloop_runtime.samples import Spec, input_name, input_type

FORMAT = "everloop-bundle/3"
OLD_FORMAT = "everloop-bundle/1"

_NAMES = re.compile(
    r"model\.onnx|index\.json|reference\.npz|golden/outputs\.npz|golden/[0-9]{3}|card\.md|MLmodel"
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


class FeatureSpec(_Part):
    """One column that the graph takes a number of."""

    name: str = Field(min_length=1, max_length=1000)
    categories: tuple[str, ...] | None = Field(default=None, max_length=100_000)
    """The texts it may be, each taken as its place in this list; None: it is a figure."""
    may_miss: bool = False
    """Whether a row may come without it."""


class RowInput(_Part):
    """The columns the graph takes, in their order."""

    features: tuple[FeatureSpec, ...] = Field(min_length=1, max_length=10_000)

    @classmethod
    def of(cls, spec: RowSpec) -> "RowInput":
        """As the manifest states it."""
        told = [(f.name, f.categories, f.may_miss) for f in spec.features]
        return cls(
            features=tuple(FeatureSpec(name=n, categories=c, may_miss=m) for n, c, m in told)
        )

    @property
    def spec(self) -> RowSpec:
        """As the code that reads rows takes it."""
        return RowSpec(tuple(Feature(f.name, f.categories, f.may_miss) for f in self.features))


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
    input: InputSpec | RowInput
    answer: dict[str, Any] = Field(default_factory=lambda: dict(CLASSES))
    """The kind of answer, and its settings; see `everloop_runtime.answers`."""
    classes: Annotated[tuple[str, ...], Field(max_length=100_000), AfterValidator(_each_once)]
    """None where answers are figures."""
    lineage: dict[str, Any]
    """Run, snapshot, code, parameters and environment it comes from."""
    tolerance: float = Field(default=1e-4, gt=0, le=0.01)
    """How far an answer to a golden input may be from the recorded one."""
    signature: Signature | None = None
    """None in old bundles, and until the draft is built."""
    calibration: Calibration = Calibration()
    thresholds: Thresholds = Thresholds()

    @property
    def spec(self) -> Spec:
        """What the graph takes."""
        if isinstance(self.input, RowInput):
            return self.input.spec
        return ImageSpec(self.input.height, self.input.width, self.input.channels)


class Manifest(BundleDraft):
    """The whole of `bundle.json`."""

    format: Literal["everloop-bundle/1", "everloop-bundle/2", "everloop-bundle/3"] = (
        "everloop-bundle/3"
    )
    preprocessing: Literal["image/1", "row/1"] = "image/1"
    files: dict[str, FileEntry] = Field(max_length=10_000)

    @model_validator(mode="after")
    def _is_prepared_as_its_kind(self) -> "Manifest":
        if self.preprocessing != preprocessing_of(self.input):
            raise ValueError(f"inputs of this kind are not prepared by {self.preprocessing}")
        return self


def is_bundle_file(name: str) -> bool:
    """Whether a bundle may hold a file of this name."""
    return _NAMES.fullmatch(name) is not None


def stated_input(spec: Spec) -> InputSpec | RowInput:
    """What a model takes, as the manifest states it."""
    if isinstance(spec, RowSpec):
        return RowInput.of(spec)
    return InputSpec(height=spec.height, width=spec.width, channels=spec.channels)


def preprocessing_of(stated: InputSpec | RowInput) -> Literal["image/1", "row/1"]:
    """The name and version of how such inputs are prepared."""
    return "row/1" if isinstance(stated, RowInput) else "image/1"


def signature_of(spec: Spec, output: str, shape: tuple[int | None, ...]) -> Signature:
    """The signature of a graph that gives `output` of `shape` for each sample."""
    numbers: Literal["uint8", "float32"] = "uint8" if input_type(spec) == "uint8" else "float32"
    taken = TensorSpec(name=input_name(spec), type=numbers, shape=(None, *spec.shape))
    return Signature(
        inputs=(taken,),
        outputs=(
            TensorSpec(name=output, type="float32", shape=(None, *shape)),
            TensorSpec(name="embedding", type="float32", shape=(None, None)),
        ),
    )


# The literals above and the constants agree.
assert (PREPROCESSING, ROWS) == ("image/1", "row/1")  # noqa: S101
