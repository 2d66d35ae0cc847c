"""A sealed segment rewritten without what it holds of some samples."""

from collections.abc import Container
from pathlib import Path

from everloop_runtime.files import write_atomic
from everloop_runtime.ids import PredictionId, SampleId
from everloop_runtime.segments import (
    Captured,
    answers_frame,
    feedback_frame,
    image_frame,
    read_feedback,
    read_segment,
    row_of,
)


def drop_samples(path: Path, samples: Container[SampleId]) -> int:
    """Take the answers about some samples, and what became known of them, out of a segment.

    The file is replaced in one step, or removed when nothing is left of it; returns how many
    answers went. Raises as `read_segment`.
    """
    dropped: set[PredictionId] = {
        record.prediction for record in read_segment(path) if record.sample in samples
    }
    if not dropped:
        return 0
    parts: list[bytes] = []
    written: set[SampleId] = set()
    for record in read_segment(path):
        if record.prediction in dropped:
            continue
        if record.sample not in written:
            parts += image_frame(record.sample, record.image)
            written.add(record.sample)
        parts += _answer(record)
    for told in read_feedback(path):
        if told.prediction not in dropped:
            parts += feedback_frame(told)
    if parts:
        write_atomic(path, b"".join(parts))
    else:
        path.unlink(missing_ok=True)
    return len(dropped)


def _answer(record: Captured) -> list[bytes]:
    import numpy as np

    row = row_of(record, record.sample)
    if record.status == "error":
        return answers_frame(record.bundle, [row], None, None)
    probabilities = np.array([record.probabilities], np.float32)
    embeddings = np.array([record.embedding], np.float32)
    return answers_frame(record.bundle, [row], probabilities, embeddings)
