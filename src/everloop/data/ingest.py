"""A folder of pictures taken in: found, checked, stored; what is bad is set aside with a reason."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.decoding import Decoders
from everloop.data.examinations import ExaminationLog
from everloop.data.examined import Bad, DecodingLimits, Examined
from everloop.data.quarantine import BadFile
from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop_runtime.ids import digest_json, sample_id
from everloop_runtime.images import ImageLimits

_NOT_DATA = (".md", ".txt")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a source."""

    path: Path
    name: str
    """Relative to the source."""
    label: str | None
    """The folder it lies in; None directly in the source."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in a source now."""

    digest: str
    """Of all names, sizes and times: it changes when the folder does."""
    files: tuple[FoundFile, ...]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of a source's files."""

    added: int
    known: int
    labelled: int
    quarantined: tuple[tuple[str, str], ...]
    """Name and reason."""


def scan(folder: Path) -> Listing:
    """The files of a source: one sub-folder a class, or pictures directly in it.

    Links are not followed, hidden files and notes (`.md`, `.txt`) are passed over.
    """
    files: list[FoundFile] = []
    stamps: list[list[str | int]] = []
    for entry in _walk(folder):
        parts = Path(entry.path).relative_to(folder).parts
        name = "/".join(parts)
        stat = entry.stat(follow_symlinks=False)
        label = parts[0] if len(parts) > 1 else None
        files.append(FoundFile(Path(entry.path), name, label))
        stamps.append([os.fsencode(name).hex(), stat.st_size, stat.st_mtime_ns])
    order = sorted(range(len(files)), key=lambda index: stamps[index])
    return Listing(
        digest_json([stamps[index] for index in order]), tuple(files[index] for index in order)
    )


def _walk(folder: Path) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))
            elif entry.is_file(follow_symlinks=False) and not entry.name.endswith(_NOT_DATA):
                yield entry


def ingest(
    store: DataStore,
    folder: Path,
    *,
    source: str,
    classes: Sequence[str],
    limits: ImageLimits,
    now: datetime,
    split: SplitRule,
) -> IngestReport:
    """Take the new files of `folder` in, in one pass; known ones are passed over by content.

    Raises `Refused` when there is no such folder.
    """
    if not folder.is_dir():
        raise Refused(f"{folder} is not a folder")
    with (
        Decoders[FoundFile](DecodingLimits(limits)) as decoders,
        ExaminationLog(store.examinations) as log,
    ):
        intake = _Intake(source, frozenset(classes), limits, log)
        samples = intake.samples(scan(folder), decoders)
        added = store.samples.add(samples, now, split=split)
    annotations = [
        Annotation(
            annotation_id(sample, label, f"import:{source}", source),
            sample,
            label,
            f"import:{source}",
            "import",
            None,
            now,
            source,
        )
        for sample, label in intake.labels.items()
    ]
    labelled = store.annotations.append(annotations)
    store.quarantine.record(source, intake.bad, now)
    bad = tuple((each.name, each.text) for each in intake.bad)
    return IngestReport(len(added), intake.good - len(added), labelled, bad)


@dataclass(slots=True)
class _Intake:
    source: str
    classes: frozenset[str]
    limits: ImageLimits
    log: ExaminationLog
    labels: dict[SampleId, str] = field(default_factory=dict)
    bad: list[BadFile] = field(default_factory=list)
    good: int = 0

    def samples(self, listing: Listing, decoders: Decoders[FoundFile]) -> Iterator[NewSample]:
        for found, data, told in decoders.examine(self._read(listing)):
            where = str(found.path)
            if isinstance(told, Bad):
                self.bad.append(BadFile(found.name, told.reason, told.text, where, data))
                continue
            try:
                sample = self._accept(found, data, told)
            except Refused as error:
                self.bad.append(BadFile(found.name, "contradiction", str(error), where, data))
                continue
            self.good += 1
            yield sample

    def _read(self, listing: Listing) -> Iterator[tuple[FoundFile, bytes]]:
        for found in listing.files:
            where = str(found.path)
            try:
                size = found.path.stat().st_size
                if size > self.limits.max_bytes:
                    told = f"it has {size} bytes; at most {self.limits.max_bytes} are taken"
                    self.bad.append(BadFile(found.name, "too-many-bytes", told, where))
                    continue
                data = found.path.read_bytes()
            except OSError as error:
                self.bad.append(BadFile(found.name, "unreadable", str(error), where))
                continue
            if found.label is not None and found.label not in self.classes:
                told = (
                    f"its folder {found.label!r} is no class of the task; "
                    f"the classes are {', '.join(sorted(self.classes))}"
                )
                self.bad.append(BadFile(found.name, "bad-label", told, where, data))
                continue
            yield found, data

    def _accept(self, found: FoundFile, data: bytes, told: Examined) -> NewSample:
        sample = sample_id(data)
        if found.label is not None:
            self._label(sample, found.label)
        self.log.add(sample, told)
        name = json.dumps(found.name)[1:-1]
        return NewSample(
            data, name, self.source, Path(self.source).name, told.format, told.width, told.height
        )

    def _label(self, sample: SampleId, label: str) -> None:
        other = self.labels.setdefault(sample, label)
        if other != label:
            raise Refused(f"the same picture lies in {other!r} and in {label!r}")
