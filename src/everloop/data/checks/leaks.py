"""Near duplicates across training and hold-out, found before a snapshot pins them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from everloop.data.checks.duplicates import (
    CANDIDATES,
    LEAST_COSINE,
    TINY,
    are_near,
    near_duplicates,
)
from everloop.data.checks.examining import examine_missing
from everloop.data.examined import DecodingLimits
from everloop.data.leaks import Draft, Leak, LeakCheck
from everloop.data.store import DataStore
from everloop.ids import SampleId

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COMPARED = 20_000_000
"""Pairs that are compared as fast as they are looked up: with so few, nothing is passed over."""


def leaking_pairs(
    store: DataStore,
    came: Sequence[SampleId],
    sides: Callable[[Sequence[SampleId]], Mapping[SampleId, str]],
    limits: DecodingLimits,
) -> Sequence[tuple[SampleId, SampleId, float]]:
    """Training sample, hold-out sample and the share of variance they do not share.

    Only pairs with one of `came`. `sides`: of those of some samples that will be pinned.
    Pictures that were never examined are examined first.
    """
    import numpy as np

    examine_missing(store, came, limits)
    there = store.examinations.count()
    if 2 * len(came) < there and len(came) * there > _COMPARED:
        came = _suspects(store, came, sides)
    if not came:
        return ()
    names, signatures = store.examinations.all_signatures()
    row_of = {name: row for row, name in enumerate(names)}
    among: NDArray[np.int64] = np.array(
        sorted(row_of[name] for name in came if name in row_of), np.int64
    )
    if not len(among):
        return ()
    pairs = near_duplicates(
        signatures,
        lambda rows: store.examinations.thumbnails([names[row] for row in rows]),
        lambda rows: store.examinations.shorter_sides([names[row] for row in rows]) < TINY,
        among,
    )
    met = sorted({row for pair in pairs for row in (pair.first, pair.second)})
    placed = sides([names[row] for row in met])
    found = []
    for pair in pairs:
        by_side = {placed.get(names[row]): names[row] for row in (pair.first, pair.second)}
        if "train" in by_side and "holdout" in by_side:
            found.append((by_side["train"], by_side["holdout"], pair.left))
    return found


def _suspects(
    store: DataStore,
    came: Sequence[SampleId],
    sides: Callable[[Sequence[SampleId]], Mapping[SampleId, str]],
) -> Sequence[SampleId]:
    """Those of `came` that may be near duplicates of one on the other side.

    Judging them takes the pictures that look most like them in the whole store; finding them does
    not, so what came is compared with everything only where it must be.
    """
    known = store.examinations
    pairs = known.alike(came, LEAST_COSINE, CANDIDATES)
    placed = sides(sorted({sample for pair in pairs for sample in pair}))
    across = [(a, b) for a, b in pairs if {placed.get(a), placed.get(b)} == {"train", "holdout"}]
    if not across:
        return ()
    firsts, seconds = ([pair[end] for pair in across] for end in (0, 1))
    near = are_near(
        known.thumbnails(firsts),
        known.thumbnails(seconds),
        (known.shorter_sides(firsts) < TINY) | (known.shorter_sides(seconds) < TINY),
    )
    return sorted({sample for sample, is_near in zip(firsts, near, strict=True) if is_near})


def near_duplicate_leaks(store: DataStore, limits: DecodingLimits) -> LeakCheck:
    """What stops a snapshot that has near duplicates across its sides."""

    def check(draft: Draft) -> Sequence[Leak]:
        came = [SampleId(name) for name in draft.came.column("sample").to_pylist()]
        return [
            Leak(train, holdout, f"near duplicates, {left:.1%} of the variance is not shared")
            for train, holdout, left in leaking_pairs(store, came, draft.sides, limits)
        ]

    return check
