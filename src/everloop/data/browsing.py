"""Captured answers looked through, newest first: by what was said, how surely, and when.

What a page costs grows with the rows it passes, not with those there are: it begins where the one
before it ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from everloop.data.predictions import Predictions
from everloop.ids import BundleId, PredictionId, SampleId

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_AT_ONCE = 50_000
_PASSED = 500_000
"""Rows that one page passes at most; where too few of them fit, the next one goes on."""
_NEAR = 100_000
"""The newest answers among which look-alikes are sought."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which answers; what is empty or None leaves everything in."""

    label: str = ""
    bundle: str = ""
    """The beginning of a bundle's id."""
    surest: float | None = None
    """Answers at most so sure, 0 to 1."""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """One answer that was given."""

    id: PredictionId
    sample: SampleId
    bundle: BundleId
    label: str
    confidence: float | None
    at: datetime


@dataclass(frozen=True, slots=True)
class GivenPage:
    """Some answers, newest first, and where the next page begins."""

    answers: Sequence[Given]
    before: int | None
    """The row before which to go on; None: there are no more."""


def browse(
    predictions: Predictions, wanted: Wanted, most: int, before: int | None = None
) -> GivenPage:
    """The newest `most` answers that fit, of the rows before `before` (None: of all).

    Rows are numbered as they were appended; where data was forgotten meanwhile the numbers have
    moved, and a page may begin a little beside where the last one ended.
    """
    end = predictions.total()
    end = end if before is None else min(before, end)
    last, found = max(0, end - _PASSED), list[Given]()
    while end > last and len(found) < most:
        start, lacking = max(last, end - _AT_ONCE), most - len(found)
        rows = predictions.from_row(start, end - start)
        places = _fitting(rows, wanted)[-lacking:]
        found += [_given(rows, int(place)) for place in places[::-1]]
        end = start + int(places[0]) if len(places) == lacking else start
    return GivenPage(found, end or None)


def _fitting(rows: "pa.Table", wanted: Wanted) -> "NDArray[np.intp]":
    """The places of the rows that fit."""
    import numpy as np
    import pyarrow.compute as pc

    fits = pc.and_(pc.equal(rows["status"], "ok"), pc.not_equal(rows["role"], "shadow"))
    if wanted.label:
        fits = pc.and_(fits, pc.equal(rows["label"], wanted.label))
    if wanted.bundle:
        fits = pc.and_(fits, pc.starts_with(rows["bundle"], wanted.bundle))
    if wanted.surest is not None:
        fits = pc.and_(fits, pc.less_equal(rows["confidence"], wanted.surest))
    if wanted.since is not None:
        fits = pc.and_(fits, pc.greater_equal(rows["at"], wanted.since))
    if wanted.until is not None:
        fits = pc.and_(fits, pc.less(rows["at"], wanted.until))
    return np.flatnonzero(pc.fill_null(fits, fill_value=False).to_numpy())


def _given(rows: "pa.Table", place: int) -> Given:
    (row,) = rows.slice(place, 1).to_pylist()
    return Given(
        row["id"], row["sample"], row["bundle"], row["label"], row["confidence"], row["at"]
    )


def seen_alike(
    predictions: Predictions, bundle: BundleId, sample: SampleId, most: int
) -> Sequence[tuple[SampleId, float]]:
    """Samples that a bundle saw much as it saw this one, the nearest first, with their cosine.

    Among the newest answers; empty where it never answered about the sample, or without embeddings.
    """
    import numpy as np

    own = predictions.embedding(bundle, sample)
    samples, seen = predictions.seen(bundle, _NEAR)
    if own is None or not len(samples):
        return []
    lengths = np.linalg.norm(seen, axis=1) * np.linalg.norm(own)
    cosines = seen @ own / np.maximum(lengths, 1e-12)
    found: dict[SampleId, float] = {}
    for row in np.argsort(-cosines, kind="stable"):
        other = SampleId(samples[int(row)].as_py())
        if other != sample:
            found.setdefault(other, float(cosines[row]))
        if len(found) == most:
            break
    return list(found.items())
