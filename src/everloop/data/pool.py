"""Captured samples without a label: what people could be asked about."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.data.splits import Side
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
    values: "NDArray[np.float32]"
    """The numbers of each answer in one row, `[n, ...]`."""
    embeddings: "NDArray[np.float32]"
    """`[n, D]`"""


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
    first: dict[SampleId, int] = {}
    for row, sample in enumerate(window.samples):
        if sample not in labelled and sample not in without:
            first.setdefault(sample, row)
    rows = list(first.values())
    places = store.samples.places(list(first))
    return Pool(
        tuple(first),
        tuple(places[sample].side for sample in first),
        window.values[rows],
        window.embeddings[rows],
    )
