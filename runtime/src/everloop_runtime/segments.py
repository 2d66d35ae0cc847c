"""Segments: the files that hold captured answers and feedback until the loop collects them.

A segment is a row of frames, each: a magic, the sizes of header and payload (two little-endian
uint32), the CRC-32 of both, the header (JSON), the payload.

    EVI2   an original image; header: its SHA-256
    EVA2   some answers of one bundle; payload: their probabilities and embeddings, float32
    EVF1   what became known of an answer later (`FeedbackRecord`)
    EVC1   one answer with its image: what the first version wrote; still read

An image is there once a segment, before the first answer that names it.
"""

import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, get_args

import msgspec

from everloop_runtime.errors import Refused
from everloop_runtime.ids import BundleId, Json, PredictionId, SampleId
from everloop_runtime.routes import Role

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OLD_ANSWER, FEEDBACK, IMAGE, ANSWERS = b"EVC1", b"EVF1", b"EVI2", b"EVA2"
MAGICS = frozenset({OLD_ANSWER, FEEDBACK, IMAGE, ANSWERS})
FRAME = struct.Struct("<4sIII")
OPEN, SEALED = ".open", ".sealed"


@dataclass(frozen=True, slots=True)
class Captured:
    """One request and what was answered."""

    prediction: PredictionId
    sample: SampleId
    bundle: BundleId
    role: Role
    key: str
    at: float
    """Seconds since 1970."""
    latency_ms: float
    status: Literal["ok", "error"]
    error: str | None = None
    label: str | None = None
    confidence: float | None = None
    probabilities: tuple[float, ...] = ()
    embedding: tuple[float, ...] = ()
    image: bytes = b""


FeedbackKind = Literal["label", "correction", "event"]
FEEDBACK_KINDS: tuple[str, ...] = get_args(FeedbackKind)


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """What became known of an answer afterwards; it may come late, twice and out of order."""

    prediction: PredictionId
    """As the client gave it: nobody has looked whether there is such an answer."""
    at: float
    """When the service took it, in seconds since 1970."""
    kind: FeedbackKind
    """The true `label`, a person's `correction` of the answer, or a business `event`."""
    value: Json
    """The label as text (see `everloop.labels`), or whatever the event carries."""
    by: str
    """The client whose API key brought it; empty where the service asks for no keys."""


class Row(msgspec.Struct, array_like=True):
    """What an answers frame's header says of one answer."""

    prediction: PredictionId
    sample: SampleId | None
    """Known once the image is written: nobody else needs its hash."""
    role: Role
    key: str
    at: float
    latency_ms: float
    error: str | None = None
    label: str | None = None
    confidence: float | None = None


def row_of(record: Captured, sample: SampleId | None) -> Row:
    """What an answers frame's header says of a record."""
    return Row(
        prediction=record.prediction,
        sample=sample,
        role=record.role,
        key=record.key,
        at=record.at,
        latency_ms=record.latency_ms,
        error=record.error,
        label=record.label,
        confidence=record.confidence,
    )


class AnswersHeader(msgspec.Struct, frozen=True):
    """The header of an answers frame."""

    bundle: BundleId
    rows: list[Row]
    classes: int = 0
    """Columns of the probabilities; 0 when the model failed."""
    width: int = 0
    """Columns of the embeddings."""


_encoder = msgspec.json.Encoder()
_headers = msgspec.json.Decoder(AnswersHeader)


def frame(magic: bytes, header: bytes, *payload: bytes) -> list[bytes]:
    """The parts of one frame."""
    check = zlib.crc32(header)
    for part in payload:
        check = zlib.crc32(part, check)
    size = sum(map(len, payload))
    return [FRAME.pack(magic, len(header), size, check), header, *payload]


def feedback_frame(record: FeedbackRecord) -> list[bytes]:
    """The frame of one feedback record."""
    return frame(FEEDBACK, json.dumps(asdict(record)).encode())


def image_frame(sample: SampleId, image: bytes) -> list[bytes]:
    """The frame of one original image."""
    return frame(IMAGE, b'{"sample":"%b"}' % sample.encode(), image)


def answers_frame(
    bundle: BundleId,
    rows: Sequence[Row],
    probabilities: "NDArray[np.float32] | None",
    embeddings: "NDArray[np.float32] | None",
) -> list[bytes]:
    """The frame of some answers; `[n, K]` and `[n, D]`, or None when the model failed."""
    if probabilities is None or embeddings is None:
        return frame(ANSWERS, _encoder.encode(AnswersHeader(bundle, list(rows))))
    header = AnswersHeader(bundle, list(rows), probabilities.shape[1], embeddings.shape[1])
    return frame(ANSWERS, _encoder.encode(header), probabilities.tobytes(), embeddings.tobytes())


def whole_frames(file: BinaryIO) -> int:
    """Where the last whole frame of a file that was cut ends, in bytes."""
    end = 0
    size = os.fstat(file.fileno()).st_size
    while head := file.read(FRAME.size):
        if len(head) < FRAME.size:
            break
        magic, header, payload, _ = FRAME.unpack(head)
        after = end + FRAME.size + header + payload
        if magic not in MAGICS or after > size:
            break
        file.seek(after)
        end = after
    return end


def read_segment(path: Path) -> Iterator[Captured]:
    """The answers in a segment, in their order; a torn last frame is left out.

    Raises `Refused` naming the offset when a frame in the middle is not what was written, or
    names an image that is not there.
    """
    places: dict[str, tuple[int, int]] = {}
    with path.open("rb") as images:
        for magic, header, payload, place in _frames(path):
            if magic == OLD_ANSWER:
                yield _old_answer(header, payload)
            elif magic == IMAGE:
                places[json.loads(header)["sample"]] = (place, len(payload))
            elif magic == ANSWERS:
                yield from _answers(path, images, places, header, payload)


def read_feedback(path: Path) -> Iterator[FeedbackRecord]:
    """The feedback in a segment; as `read_segment` otherwise."""
    for magic, header, _, _ in _frames(path):
        if magic == FEEDBACK:
            yield FeedbackRecord(**json.loads(header))


def _answers(
    path: Path,
    images: BinaryIO,
    places: dict[str, tuple[int, int]],
    header: bytes,
    payload: bytes,
) -> Iterator[Captured]:
    import numpy as np

    told = _headers.decode(header)
    values = np.frombuffer(payload, "<f4")
    split = len(told.rows) * told.classes
    probabilities = values[:split].reshape(len(told.rows), told.classes).tolist()
    embeddings = values[split:].reshape(len(told.rows), told.width).tolist()
    for row, numbers, embedding in zip(told.rows, probabilities, embeddings, strict=True):
        if row.sample is None or row.sample not in places:
            raise Refused(f"{path.name} is damaged: an image of {row.prediction} is not there")
        place, size = places[row.sample]
        images.seek(place)
        yield Captured(
            prediction=row.prediction,
            sample=row.sample,
            bundle=told.bundle,
            role=row.role,
            key=row.key,
            at=row.at,
            latency_ms=row.latency_ms,
            status="ok" if row.error is None else "error",
            error=row.error,
            label=row.label,
            confidence=row.confidence,
            probabilities=tuple(numbers),
            embedding=tuple(embedding),
            image=images.read(size),
        )


def _old_answer(header: bytes, image: bytes) -> Captured:
    told = json.loads(header)
    told["image"] = image
    told["probabilities"] = tuple(told["probabilities"])
    told["embedding"] = tuple(told["embedding"])
    return Captured(**told)


def _frames(path: Path) -> Iterator[tuple[bytes, bytes, bytes, int]]:
    """Magic, header, payload, and where the payload begins."""
    size = path.stat().st_size
    with path.open("rb") as file:
        while True:
            at = file.tell()
            head = file.read(FRAME.size)
            if len(head) < FRAME.size:
                return
            magic, header_size, payload_size, check = FRAME.unpack(head)
            if magic not in MAGICS:
                raise Refused(f"{path.name} is damaged at byte {at}: no record begins there")
            if file.tell() + header_size + payload_size > size:
                return
            header = file.read(header_size)
            place = file.tell()
            payload = file.read(payload_size)
            if zlib.crc32(payload, zlib.crc32(header)) != check:
                raise Refused(f"{path.name} is damaged at byte {at}: the checksum differs")
            yield magic, header, payload, place
