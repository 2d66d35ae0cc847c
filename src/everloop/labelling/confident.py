"""Likely label errors by confident learning (Northcutt, Jiang and Chuang, JAIR 2021).

Written from the paper: class thresholds, the confident joint, and its off-diagonal as the suspects
(their method `C` with the normalised margin as the rank).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FEW = 2
"""Of a class with fewer labels no threshold can be told."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """One label that is likely wrong."""

    row: int
    likely: int
    """The class that it confidently looks like."""
    margin: float
    """The given class's probability less the largest of the others: the lower, the likelier."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What confident learning says of a set of labels."""

    joint: "NDArray[np.float64]"
    """`[K, K]`, estimated share of samples by given (row) and true (column) class; sums to 1."""
    suspects: tuple[Suspect, ...]
    """The likeliest errors first."""

    @property
    def share(self) -> float:
        """The estimated share of wrong labels."""
        return float(1 - self.joint.trace())


def find_errors(probabilities: "NDArray[np.floating]", given: "NDArray[np.integer]") -> Noise:
    """The labels that probabilities of samples the model has not learnt from speak against.

    `probabilities`: `[N, K]`, out of sample; `given`: class indices `[N]`. A label is a suspect
    where another class's probability reaches what is usual for samples labelled so.
    """
    import numpy as np

    count, classes = probabilities.shape
    labelled = np.bincount(given, minlength=classes)
    usual = np.full(classes, np.inf)
    for number in np.flatnonzero(labelled >= _FEW):
        usual[number] = probabilities[given == number, number].mean()
    over = np.where(probabilities >= usual, probabilities, -1.0)
    looks = over.argmax(axis=1)
    sure = over.max(axis=1) >= 0
    counts = np.zeros((classes, classes))
    np.add.at(counts, (given[sure], looks[sure]), 1)
    rows = np.flatnonzero(sure & (looks != given))
    margins = _margins(probabilities, given)
    order = rows[np.argsort(margins[rows], kind="stable")]
    found = tuple(Suspect(int(r), int(looks[r]), float(margins[r])) for r in order)
    return Noise(_calibrated(counts, labelled, count), found)


def _margins(
    probabilities: "NDArray[np.floating]", given: "NDArray[np.integer]"
) -> "NDArray[np.float64]":
    import numpy as np

    rows = np.arange(len(given))
    others = probabilities.astype(np.float64)
    mine = others[rows, given].copy()
    others[rows, given] = -1.0
    margins: NDArray[np.float64] = mine - others.max(axis=1)
    return margins


def _calibrated(
    counts: "NDArray[np.float64]", labelled: "NDArray[np.integer]", count: int
) -> "NDArray[np.float64]":
    """The joint: each row of the counts made to sum to how often its label was given."""
    import numpy as np

    sums = counts.sum(axis=1, keepdims=True)
    # Nobody confident of a class: its labels are taken as they are.
    shares = np.where(sums > 0, counts / np.maximum(sums, 1), np.eye(len(counts)))
    joint: NDArray[np.float64] = shares * labelled[:, None] / max(count, 1)
    return joint
