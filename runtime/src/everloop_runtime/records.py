"""What is captured, and how it becomes the frames of a segment."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop_runtime.ids import BundleId, SampleId, sample_id
from everloop_runtime.segments import (
    Captured,
    FeedbackRecord,
    Row,
    answers_frame,
    feedback_frame,
    image_frame,
    row_of,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(slots=True)
class AnswerBatch:
    """Some answers of one bundle; `images` are their original bytes, in the same order."""

    bundle: BundleId
    rows: list[Row]
    images: list[bytes]
    probabilities: "NDArray[np.float32] | None" = None
    embeddings: "NDArray[np.float32] | None" = None


Record = AnswerBatch | FeedbackRecord | Captured


def count(record: Record) -> int:
    """Answers or messages in a record."""
    return len(record.rows) if isinstance(record, AnswerBatch) else 1


def encode(
    record: Record, known: dict[bytes, SampleId], fresh: dict[bytes, SampleId]
) -> list[bytes]:
    """The frames of a record; images that the segment does not hold yet are added to `fresh`."""
    if isinstance(record, FeedbackRecord):
        return feedback_frame(record)
    batch = _batch(record) if isinstance(record, Captured) else record
    parts: list[bytes] = []
    for row, image in zip(batch.rows, batch.images, strict=True):
        row.sample = known.get(image) or fresh.get(image)
        if row.sample is None:
            row.sample = fresh[image] = sample_id(image)
            parts += image_frame(row.sample, image)
    return parts + answers_frame(batch.bundle, batch.rows, batch.probabilities, batch.embeddings)


def _batch(record: Captured) -> AnswerBatch:
    import numpy as np

    row = row_of(record, None)
    batch = AnswerBatch(record.bundle, [row], [record.image])
    if record.status == "ok":
        batch.probabilities = np.array([record.probabilities], np.float32)
        batch.embeddings = np.array([record.embedding], np.float32)
    return batch
