"""What every kind of answer can do; the service, the library, batches and replays ask only this."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Told(NamedTuple):
    """One answer in the words of its kind."""

    label: str
    """The answer as the text of a label (a class's own name, or JSON): what is compared with the
    truth once that is known."""
    confidence: float | None
    """0 to 1; None where the kind has none."""
    body: bytes
    """The members of the JSON object that a client gets, without its braces."""


class Tensor(NamedTuple):
    """One output of the Open Inference Protocol."""

    name: str
    datatype: str
    """`FP32` or `BYTES`."""
    shape: tuple[int, ...]
    """Of one answer; empty for one value."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of one sample."""

    label: str
    """The class, or the text of what else the answer is."""
    confidence: float
    """0 to 1; NaN where the kind of answer has none."""
    probabilities: tuple[float, ...]
    """One a class; empty where answers are no probabilities."""
    embedding: tuple[float, ...]
    told: Mapping[str, Any] = field(compare=False)
    """All that the service would say: `hits`, `boxes`, `value`, ..., by the kind of answer."""


class AnswerKind(Protocol):
    """How the numbers that a graph gives for a sample are to be taken.

    `values` are float32 `[N, *shape]`, as `settle` gave them.
    """

    @property
    def name(self) -> str:
        """What a manifest calls it."""

    @property
    def output(self) -> str:
        """The graph's output that holds the numbers."""

    @property
    def raw_shape(self) -> tuple[int | None, ...]:
        """Of the graph's output for one sample; None stands for any number."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one answer's numbers."""

    def declaration(self) -> Mapping[str, Any]:
        """The manifest's entry `answer`."""

    def settle(self, values: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """The answers' numbers from the graph's own output."""

    def distance(
        self, given: "NDArray[np.float32]", expected: "NDArray[np.float32]"
    ) -> "NDArray[np.float64]":
        """How far each answer is from the expected one, `[N]`; infinite when it is another."""

    def tell(self, values: "NDArray[np.float32]") -> list[Told]:
        """One answer a row."""

    def read(self, told: Mapping[str, Any]) -> "NDArray[np.float32]":
        """The numbers of an answer that a client got, `[*shape]`: `tell` the other way round.

        What is missing or unknown is NaN.
        """

    def tensors(self) -> Sequence[Tensor]:
        """The outputs of the Open Inference Protocol."""

    def tensor(
        self, name: str, values: "NDArray[np.float32]"
    ) -> "NDArray[np.float32] | Sequence[str]":
        """One of them for N answers: `[N, *shape]`, or N texts."""

    def schema(self) -> Mapping[str, Any]:
        """The members of an answer, as JSON Schema's `properties`; all are required."""


def nothing_settled(values: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """For kinds whose graph gives the answer's numbers as they are."""
    return values


def widest(given: "NDArray[np.float32]", expected: "NDArray[np.float32]") -> "NDArray[np.float64]":
    """The largest difference of any number, `[N]`; what is no number is infinitely far."""
    import numpy as np

    apart = np.abs(given.astype(np.float64) - expected).reshape(len(given), -1).max(axis=1)
    return np.where(np.isfinite(apart), apart, np.inf)
