"""A snapshot written into a folder, which appears whole or not at all."""

import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from everloop.data.export.class_folders import ClassFoldersExport
from everloop.data.export.coco import CocoExport
from everloop.data.export.outgoing import Export, Shape, outgoing
from everloop.data.export.tables import CsvExport, ParquetExport
from everloop.data.export.voc import VocExport
from everloop.data.export.yolo import YoloExport
from everloop.data.snapshots import Snapshot
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import Json
from everloop.tasks.task import TableTask, Task
from everloop_runtime.files import sync_directory

EXPORTS: Mapping[str, Export] = {
    made.name: made
    for made in (
        CocoExport(),
        YoloExport(),
        VocExport(),
        ClassFoldersExport(),
        ParquetExport(),
        CsvExport(),
    )
}
"""Every layout by its name."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written."""

    samples: int
    train: int
    holdout: int
    bytes: int

    def as_json(self) -> dict[str, Json]:
        """All counts by name."""
        return {
            "samples": self.samples,
            "train": self.train,
            "holdout": self.holdout,
            "bytes": self.bytes,
        }


def export(
    store: DataStore,
    snapshot: Snapshot,
    task: Task,
    format_name: str,
    out: Path,
    *,
    watch: Callable[[int], None] = lambda _done: None,
) -> ExportReport:
    """Write a snapshot to the folder `out`, which must not be there yet.

    Raises `Refused` when it is, and when the layout cannot hold such samples.
    """
    shape = Shape(
        task.classes,
        task.label_kind,
        task.modality,
        task.target if isinstance(task, TableTask) else None,
    )
    layout = _layout(format_name, shape)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Refused(f"{out} is there already; name a folder that is not, or is empty")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{secrets.token_hex(6)}.tmp")
    draft.mkdir()
    try:
        report = _write(store, snapshot, layout, shape, draft, watch)
        draft.rename(out)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    sync_directory(out.parent)
    return report


def _layout(name: str, shape: Shape) -> Export:
    layout = EXPORTS.get(name)
    fitting = ", ".join(n for n, one in EXPORTS.items() if one.why_not(shape) is None)
    if layout is None:
        raise Refused(f"there is no export {name!r}; these fit the task: {fitting}")
    if (why := layout.why_not(shape)) is not None:
        raise Refused(f"{name} {why}; these fit the task: {fitting}")
    return layout


def _write(
    store: DataStore,
    snapshot: Snapshot,
    layout: Export,
    shape: Shape,
    folder: Path,
    watch: Callable[[int], None],
) -> ExportReport:
    writer = layout.writer(folder, shape)
    sides = {"train": 0, "holdout": 0}
    size = 0
    for done, sample in enumerate(outgoing(store, snapshot, shape.modality), start=1):
        writer.add(sample)
        sides[sample.side] += 1
        size += len(sample.data)
        watch(done)
    writer.end()
    return ExportReport(sum(sides.values()), sides["train"], sides["holdout"], size)
