"""Captured answers looked through, newest first: by what was said, how surely, when, where the
request came from, and where on the map of what a model saw.

What a page costs grows with the rows it passes, not with those there are: it begins where the one
before it ended.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
class Region:
    """A rectangle on the map of what one model saw, its edges in units of the map's axes."""

    bundle: BundleId
    left: float
    top: float
    right: float
    bottom: float
    wide: int
    """`D`: how long the model's embeddings are."""
    project: "Callable[[NDArray[np.float32]], NDArray[np.float32]]" = field(
        repr=False, compare=False
    )
    """Embeddings `[n, D]` on the map, `[n, 2]` or more."""


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
    region: Region | None = None
    key: str = ""
    """Where its request came from, as the client said: a slice of the traffic."""


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
    passed = _PASSED if wanted.region is None else _PASSED // 5
    last, found = max(0, end - passed), list[Given]()
    while end > last and len(found) < most:
        start, lacking = max(last, end - _AT_ONCE), most - len(found)
        rows = predictions.from_row(start, end - start, ("key",) if wanted.key else ())
        fits = _fitting(rows, wanted)
        if wanted.region is not None:
            fits = fits[_inside(predictions, wanted.region, start, fits)]
        places = fits[-lacking:]
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
    if wanted.key:
        fits = pc.and_(fits, pc.equal(rows["key"], wanted.key))
    if wanted.bundle:
        fits = pc.and_(fits, pc.starts_with(rows["bundle"], wanted.bundle))
    if wanted.surest is not None:
        fits = pc.and_(fits, pc.less_equal(rows["confidence"], wanted.surest))
    if wanted.region is not None:
        fits = pc.and_(fits, pc.equal(rows["bundle"], wanted.region.bundle))
    if wanted.since is not None:
        fits = pc.and_(fits, pc.greater_equal(rows["at"], wanted.since))
    if wanted.until is not None:
        fits = pc.and_(fits, pc.less(rows["at"], wanted.until))
    return np.flatnonzero(pc.fill_null(fits, fill_value=False).to_numpy())


def _inside(
    predictions: Predictions, region: Region, start: int, places: "NDArray[np.intp]"
) -> "NDArray[np.bool_]":
    """Which of the rows at `places` from `start` on lie in a region."""
    import numpy as np

    inside = np.zeros(len(places), np.bool_)
    if not len(places):
        return inside
    low, high = int(places[0]), int(places[-1]) + 1
    seen, is_there = predictions.embeddings(start + low, high - low, region.wide)
    known = is_there[places - low]
    if known.any():
        x, y = region.project(seen[(places - low)[known]])[:, :2].T
        across = (x >= region.left) & (x <= region.right)
        inside[known] = across & (y >= region.top) & (y <= region.bottom)
    return inside


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
