"""The samples of a snapshot on their way out, and the port that writes them."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from everloop.data.owner import owner_only
from everloop.data.snapshots import Snapshot
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop.labels import Label, LabelKind, decode
from everloop.tasks.task import Modality

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 256
_ENDINGS = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "GIF": ".gif",
    "TIFF": ".tif",
}
_EXIF_ORIENTATION = 0x0112
_TURNED = 5
_FACTS = ("name", "group", "subject", "taken_at", "meta")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One sample of a snapshot, with everything that is known of it."""

    id: SampleId
    data: bytes
    side: str
    label: Label
    file: str
    """A safe name: its id, and the ending of its format."""
    width: int
    """Of the upright picture; 0 for a row."""
    height: int
    name: str
    """What its source called it, escaped."""
    group: str | None
    subject: str | None
    taken_at: datetime | None
    meta: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Shape:
    """What all samples of a snapshot have in common."""

    classes: tuple[str, ...]
    label_kind: LabelKind
    modality: Modality
    target: str | None = None
    """The column that is learnt, of a task on tables."""


class Writer(Protocol):
    """Writes samples into a folder of its own, one at a time."""

    def add(self, sample: Outgoing) -> None:
        """Write one sample."""

    def end(self) -> None:
        """Write what stands at the end, and close all files."""


class Export(Protocol):
    """A layout that snapshots are written in."""

    @property
    def name(self) -> str:
        """What people name it by; `import` reads it under `read_as`."""

    @property
    def read_as(self) -> str:
        """The format that reads it back."""

    def why_not(self, shape: Shape) -> str | None:
        """Why it cannot hold such samples; None when it can."""

    def writer(self, folder: Path, shape: Shape) -> Writer:
        """Begin to write into an empty folder."""


def outgoing(store: DataStore, snapshot: Snapshot, modality: Modality) -> Iterator[Outgoing]:
    """Every sample of a snapshot, by id; a few hundred are in memory at a time."""
    rows = _with_facts(store, snapshot.rows)
    for start in range(0, rows.num_rows, _BATCH):
        part = rows.slice(start, _BATCH).to_pylist()
        for row, data in zip(
            part, owner_only(store.samples, [r["sample"] for r in part]), strict=True
        ):
            yield _outgoing(row, data, modality)


def _with_facts(store: DataStore, rows: "pa.Table") -> "pa.Table":
    facts = store.samples.facts().select(["id", *_FACTS])
    # The first fact of a sample stands.
    told = facts.group_by("id", use_threads=False).aggregate([(n, "first") for n in _FACTS])
    told = told.rename_columns([n.removesuffix("_first") for n in told.column_names])
    joined = rows.select(["sample", "side", "label"]).join(told, "sample", "id")
    return joined.sort_by("sample")


def _outgoing(row: Mapping[str, object], data: bytes, modality: Modality) -> Outgoing:
    sample = SampleId(str(row["sample"]))
    ending, width, height = (".json", 0, 0) if modality == "row" else _facts(sample, data)
    taken_at, meta = row["taken_at"], row["meta"]
    return Outgoing(
        sample,
        data,
        str(row["side"]),
        decode(str(row["label"])),
        f"{sample}{ending}",
        width,
        height,
        str(row["name"] or ""),
        _text(row["group"]),
        _text(row["subject"]),
        taken_at if isinstance(taken_at, datetime) else None,
        json.loads(meta) if isinstance(meta, str) else {},
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _facts(sample: SampleId, data: bytes) -> tuple[str, int, int]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=list(_ENDINGS)) as image:
            turned = image.getexif().get(_EXIF_ORIENTATION, 1) >= _TURNED
            width, height = image.size
            ending = _ENDINGS[image.format or ""]
    except (OSError, SyntaxError, ValueError, KeyError) as error:
        raise Refused(f"sample {sample[:12]} is no picture that can be written: {error}") from error
    return (ending, height, width) if turned else (ending, width, height)
