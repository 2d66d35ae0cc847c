"""Snapshots: immutable dataset versions, each one file named by what it pins."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from everloop.data.blobs import open_blobs
from everloop.data.location import Place
from everloop.errors import Refused
from everloop.ids import Json, SampleId, SnapshotId
from everloop_runtime.ids import canonical_json

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = ".arrow"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One dataset version. In a folder its file is mapped; rows are read where they are used."""

    id: SnapshotId
    rows: "pa.Table"
    """`sample`, `side`, `label`, `annotation`, `by`, `origin`, sorted by sample."""
    about: Mapping[str, Json]
    """When it was taken, by which rules, with which counts."""

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

    def __init__(self, place: Place) -> None:
        self._blobs = open_blobs(place)

    def open(self, snapshot: SnapshotId) -> Snapshot:
        """A snapshot by its id; `Refused` when there is none."""
        import pyarrow as pa

        known = snapshot.isalnum()
        data = self._blobs.view(f"{snapshot}{_ROWS}") if known else None
        about = self._blobs.get(f"{snapshot}.json") if known else None
        if data is None or about is None:
            raise Refused(f"there is no snapshot {snapshot!r}; everloop data list shows them")
        rows = pa.ipc.open_file(pa.py_buffer(data)).read_all()
        return Snapshot(snapshot, rows, json.loads(about))

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
        keys = sorted(blob.key for blob in self._blobs.list())
        return [SnapshotId(key[: -len(_ROWS)]) for key in keys if key.endswith(_ROWS)]

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
        sides = Counter(rows.column("side").to_pylist())
        about: dict[str, Json] = {
            "taken_at": now.isoformat(),
            "rules": rules,
            "train": sides["train"],
            "holdout": sides["holdout"],
            "classes": dict(sorted(Counter(rows.column("label").to_pylist()).items())),
        }
        # What is told of it first: a snapshot that can be opened can be described.
        self._blobs.put(f"{snapshot}.json", canonical_json(about))
        self._blobs.put(f"{snapshot}{_ROWS}", data)
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
