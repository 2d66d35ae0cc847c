"""Captured samples without a label: what people could be asked about."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.data.examined import SIGNATURE_LENGTH
from everloop.data.splits import SIDES, Side
from everloop.data.store import DataStore
from everloop.ids import BundleId, SampleId

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Pool:
    """Unlabelled samples with what a bundle said of them."""

    samples: tuple[SampleId, ...]
    sides: tuple[Side, ...]
    values: "NDArray[np.float32] | None"
    """The numbers of each answer in one row, `[n, ...]`; None where no model answered."""
    embeddings: "NDArray[np.float32]"
    """`[n, D]`"""
    known: "NDArray[np.float32]"
    """The same of samples that have a label, as far as they are at hand, `[m, D]`."""


def unlabelled(
    store: DataStore,
    bundle: BundleId,
    *,
    start: int,
    most: int,
    without: Collection[SampleId] = (),
) -> Pool:
    """Unlabelled samples among a bundle's answers from index `start` on, each once.

    `without`: samples that must not be asked about.
    """
    total = store.predictions.count(bundle)
    window = store.predictions.window(bundle, max(start, total - most), most)
    labelled = store.annotations.standing(list(dict.fromkeys(window.samples)))
    first, known = dict[SampleId, int](), dict[SampleId, int]()
    for row, sample in enumerate(window.samples):
        if sample in labelled:
            known.setdefault(sample, row)
        elif sample not in without:
            first.setdefault(sample, row)
    rows = list(first.values())
    places = store.samples.places(list(first))
    return Pool(
        tuple(first),
        tuple(places[sample].side for sample in first),
        window.values[rows],
        window.embeddings[rows],
        window.embeddings[list(known.values())],
    )


def unanswered(
    store: DataStore, *, most: int, seed: int, without: Collection[SampleId] = ()
) -> Pool:
    """Unlabelled samples before there is a model, by what they look like from afar.

    At most `most` of each side, drawn at random. What was not examined (a table's rows, say) looks
    like nothing.
    """
    left_out = {*without, *store.exclusions.current()}
    samples, sides = list[SampleId](), list[Side]()
    for side in SIDES:
        found = [s for s in store.catalogue.unlabelled(side, most, seed) if s not in left_out]
        samples += found
        sides += [side] * len(found)
    known = [sample for _, sample in store.catalogue.labelled(most=most)]
    return Pool(tuple(samples), tuple(sides), None, _looks(store, samples), _looks(store, known))


def _looks(store: DataStore, samples: Sequence[SampleId]) -> "NDArray[np.float32]":
    """The signatures of samples, `[n, 64]`; zeros for one that has none."""
    import numpy as np

    looks = np.zeros((len(samples), SIGNATURE_LENGTH), np.float32)
    missing = set(store.examinations.missing(samples))
    rows = [row for row, sample in enumerate(samples) if sample not in missing]
    if rows:
        looks[rows] = store.examinations.signatures([samples[row] for row in rows])
    return looks
