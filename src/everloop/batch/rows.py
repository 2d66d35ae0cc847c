"""The rows of a batch's output, and the files they are written to."""

import json
import math
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from everloop_runtime.answers.kind import Answer
from everloop_runtime.files import sync_directory
from everloop_runtime.ids import SampleId

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Row:
    """What is said of one sample."""

    name: str
    sample: SampleId | None
    """None when its file could not be read."""
    label: str | None = None
    confidence: float | None = None
    probabilities: tuple[float, ...] | None = None
    answer: str | None = None
    """All that the service would say, as JSON."""
    error: str | None = None
    """Why there is no answer."""

    def answered(self, answer: Answer) -> "Row":
        """The row with its answer."""
        return replace(
            self,
            label=answer.label,
            # NaN where the kind of answer has none.
            confidence=None if math.isnan(answer.confidence) else answer.confidence,
            probabilities=answer.probabilities or None,
            answer=json.dumps(answer.told),
        )

    def failed(self, reason: str) -> "Row":
        """The row with the reason why it has none."""
        return replace(self, error=reason)


def schema() -> "pa.Schema":
    """The columns of the output; probabilities in the order of the bundle's classes, if any."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("source", pa.string(), nullable=False),
            pa.field("sample", pa.string()),
            pa.field("label", pa.string()),
            pa.field("confidence", pa.float32()),
            pa.field("probabilities", pa.list_(pa.float32())),
            pa.field("answer", pa.string()),
            pa.field("error", pa.string()),
        ]
    )


def write_part(place: Path, rows: Sequence[Row]) -> None:
    """Write rows as a Parquet file, whole or not at all, durable when this returns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "source": [row.name for row in rows],
        "sample": [row.sample for row in rows],
        "label": [row.label for row in rows],
        "confidence": [row.confidence for row in rows],
        "probabilities": [row.probabilities for row in rows],
        "answer": [row.answer for row in rows],
        "error": [row.error for row in rows],
    }
    draft = place.with_name(f".{place.name}.{secrets.token_hex(6)}.tmp")
    try:
        pq.write_table(pa.table(columns, schema()), draft)
        _settle(draft, place)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _settle(draft: Path, place: Path) -> None:
    handle = os.open(draft, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.replace(place)
    sync_directory(place.parent)


def join_parts(parts: Sequence[Path], out: Path, about: dict[str, str]) -> None:
    """Write the parts, in their order, as one Parquet file or Lance dataset at `out`.

    One part is in memory at a time; `out` appears whole or not at all. `about` goes into the
    schema's metadata.
    """
    told = schema().with_metadata(about)
    draft = out.with_name(f".{out.name}.{secrets.token_hex(6)}.tmp")
    if out.suffix == ".lance":
        _join_lance(parts, draft, told)
        draft.replace(out)
        sync_directory(out.parent)
        return
    import pyarrow.parquet as pq

    try:
        with pq.ParquetWriter(draft, told) as writer:
            for batch in _batches(parts, told):
                writer.write_batch(batch)
        _settle(draft, out)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _join_lance(parts: Sequence[Path], draft: Path, told: "pa.Schema") -> None:
    import shutil

    import lance
    import pyarrow as pa

    try:
        reader = pa.RecordBatchReader.from_batches(told, _batches(parts, told))
        lance.write_dataset(reader, str(draft))
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _batches(parts: Sequence[Path], told: "pa.Schema") -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    for part in parts:
        for batch in pq.read_table(part).to_batches():
            yield pa.RecordBatch.from_arrays(batch.columns, schema=told)
