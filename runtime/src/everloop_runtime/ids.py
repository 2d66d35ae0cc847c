"""Names of things, each with a type of its own, and how the content-made ones are computed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NewType, TypeAlias

SampleId = NewType("SampleId", str)
"""Lower-case hex SHA-256 of a sample's original bytes."""

BundleId = NewType("BundleId", str)
"""Lower-case hex SHA-256 of a bundle's canonical manifest."""

PredictionId = NewType("PredictionId", str)
"""32 lower-case hex digits, made when a request is answered."""

Json: TypeAlias = "None | bool | int | float | str | Sequence[Json] | Mapping[str, Json]"
"""What canonical JSON can hold."""


_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)
"""Made once: `json.dumps` would make one for each value."""


def canonical_json(value: Json) -> bytes:
    """The one byte string that stands for `value`: sorted keys, no spaces, UTF-8, no NaN."""
    return _ENCODER.encode(value).encode()


def digest_bytes(data: bytes) -> str:
    """Lower-case hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def digest_json(value: Json) -> str:
    """Lower-case hex SHA-256 of the canonical JSON of `value`."""
    return digest_bytes(canonical_json(value))


def digest_file(path: Path) -> str:
    """Lower-case hex SHA-256 of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sample_id(data: bytes) -> SampleId:
    """The id of the sample whose original bytes are `data`."""
    return SampleId(digest_bytes(data))
