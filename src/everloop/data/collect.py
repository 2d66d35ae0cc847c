"""A sealed segment of captured answers moved into the store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop_runtime.capture import Captured, read_segment
from everloop_runtime.segments import read_feedback


@dataclass(frozen=True, slots=True)
class CollectReport:
    """What a segment held."""

    predictions: int
    samples: int
    errors: int
    feedback: int = 0
    """Statements about earlier answers that were new."""


def collect(
    store: DataStore,
    segment: Path,
    *,
    now: datetime,
    split: SplitRule,
    seen: Callable[[Sequence[Captured]], object] = lambda _: None,
) -> CollectReport:
    """Store a segment's samples, answers and feedback; the caller removes the file afterwards.

    Safe to repeat. Samples before answers: an answer may never name missing bytes. `seen` gets the
    answers that are not about forgotten samples. Raises `Refused` when the segment is damaged;
    nothing of it is stored then.
    """
    records = list(read_segment(segment))
    samples = store.samples.add(
        (NewSample(record.image, "", "capture", "production") for record in records),
        now,
        split=split,
    )
    added = store.predictions.append(records, segment.name)
    gone = store.forgotten.ids()
    seen([record for record in records if record.sample not in gone] if gone else records)
    errors = sum(record.status == "error" for record in records)
    feedback = store.feedback.append(list(read_feedback(segment)), segment.name)
    return CollectReport(added, len(samples), errors, feedback)
