"""Snapshots: immutable dataset versions, each one file named by what it pins."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.errors import Refused
from everloop.ids import Json, SampleId, SnapshotId
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import canonical_json

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One dataset version. Opening it maps its file; rows are read where they are used."""

    id: SnapshotId
    path: Path
    rows: "pa.Table"
    """`sample`, `side`, `label`, `annotation`, `by`, `origin`, sorted by sample."""

    @property
    def about(self) -> Mapping[str, Json]:
        """When it was taken, by which rules, with which counts."""
        told: dict[str, Json] = json.loads(self.path.with_suffix(".json").read_bytes())
        return told

    def summary(self) -> dict[str, Json]:
        """What people want to know of it."""
        return {"id": self.id, **self.about}

    def side(self, side: str) -> "pa.Table":
        """The rows of one side."""
        import pyarrow.compute as pc

        return self.rows.filter(pc.equal(self.rows.column("side"), side))


@dataclass(frozen=True, slots=True)
class SnapshotDiff:
    """What changed from one snapshot to another."""

    added: tuple[SampleId, ...]
    removed: tuple[SampleId, ...]
    relabelled: tuple[tuple[SampleId, str, str], ...]
    """Sample, old label, new label."""


class Snapshots:
    """The snapshots of one product: files that are written once and never again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, snapshot: SnapshotId) -> Snapshot:
        """A snapshot by its id; `Refused` when there is none."""
        import pyarrow as pa

        path = self._folder / f"{snapshot}.arrow"
        if not snapshot.isalnum() or not path.is_file():
            raise Refused(f"there is no snapshot {snapshot!r}; everloop data list shows them")
        with pa.memory_map(str(path)) as file:
            return Snapshot(snapshot, path, pa.ipc.open_file(file).read_all())

    def find(self, prefix: str) -> Snapshot:
        """The one snapshot whose id begins with `prefix`."""
        found = [s for s in self._ids() if s.startswith(prefix)]
        if len(found) != 1:
            told = ", ".join(s[:8] for s in self._ids()) or "none"
            raise Refused(f"{len(found)} snapshots begin with {prefix!r}; there are: {told}")
        return self.open(found[0])

    def list(self) -> Sequence[Snapshot]:
        """All snapshots, oldest first."""
        found = [self.open(snapshot) for snapshot in self._ids()]
        return sorted(found, key=lambda snapshot: str(snapshot.about["taken_at"]))

    def _ids(self) -> Sequence[SnapshotId]:
        return [SnapshotId(path.stem) for path in sorted(self._folder.glob("*.arrow"))]

    def diff(self, old: SnapshotId, new: SnapshotId) -> SnapshotDiff:
        """What was added, removed and relabelled from `old` to `new`."""
        before, after = _labels(self.open(old)), _labels(self.open(new))
        return SnapshotDiff(
            tuple(sample for sample in after if sample not in before),
            tuple(sample for sample in before if sample not in after),
            tuple(
                (sample, before[sample], label)
                for sample, label in after.items()
                if sample in before and before[sample] != label
            ),
        )

    def write(self, rows: "pa.Table", rules: Mapping[str, Json], now: datetime) -> SnapshotId:
        """Write a snapshot and return its id; the same rows and rules are written once."""
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, rows.schema) as writer:
            writer.write_table(rows.combine_chunks())
        data = sink.getvalue().to_pybytes()
        snapshot = SnapshotId(_fingerprint(rows, rules))
        path = self._folder / f"{snapshot}.arrow"
        if path.is_file():
            return snapshot
        sides = Counter(rows.column("side").to_pylist())
        about: dict[str, Json] = {
            "taken_at": now.isoformat(),
            "rules": rules,
            "train": sides["train"],
            "holdout": sides["holdout"],
            "classes": dict(sorted(Counter(rows.column("label").to_pylist()).items())),
        }
        # What is told of it first: a snapshot that can be opened can be described.
        write_atomic(path.with_suffix(".json"), canonical_json(about))
        write_atomic(path, data)
        return snapshot


def _labels(snapshot: Snapshot) -> dict[SampleId, str]:
    columns = (snapshot.rows.column(name).to_pylist() for name in ("sample", "label"))
    return dict(zip(*columns, strict=True))


def _fingerprint(rows: "pa.Table", rules: Mapping[str, Json]) -> str:
    import pyarrow as pa
    import pyarrow.compute as pc

    digest = hashlib.sha256(canonical_json(rules))
    digest.update(rows.num_rows.to_bytes(8, "little"))
    for name in ("sample", "side", "label", "annotation"):
        # With all lengths first, so that two different columns never feed the same bytes.
        column = rows.column(name).cast(pa.large_binary())
        digest.update(pc.binary_length(column).to_numpy().astype("<i8").tobytes())
        digest.update(b"".join(column.to_pylist()))
    return digest.hexdigest()
