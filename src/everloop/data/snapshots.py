"""Snapshots: immutable dataset versions, each named by what it pins.

A snapshot is one small manifest and the segments it names. A new one writes what changed; short
segments at the end are merged, so there are never many. The first stores wrote one file of all
rows and one of what is known of it; those are opened as they are.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.data.blobs import open_blobs
from everloop.data.location import Place, located
from everloop.data.segments import (
    COLUMNS,
    Row,
    Segment,
    Segments,
    keys_of,
    merged,
    nothing,
    present,
)
from everloop.errors import Refused
from everloop.ids import Json, SampleId, SnapshotId
from everloop_runtime.ids import canonical_json

if TYPE_CHECKING:
    import pyarrow as pa

_MANIFEST = ".manifest"
_FIRST_FORM = ".arrow"
_LOOKUP = 10_000


@dataclass(frozen=True)
class Snapshot:
    """One dataset version. Opening it reads its manifest; rows are read where they are used."""

    id: SnapshotId
    manifest: Mapping[str, Any] = field(repr=False)
    _segments: Segments = field(repr=False)

    @property
    def about(self) -> Mapping[str, Json]:
        """When it was taken, by which rules, with which counts."""
        told = ("taken_at", "rules", "train", "holdout", "classes", "excluded", "parent")
        return {name: self.manifest[name] for name in told if name in self.manifest}

    def summary(self) -> dict[str, Json]:
        """What people want to know of it."""
        return {"id": self.id, **self.about}

    def __len__(self) -> int:
        return int(self.manifest["train"]) + int(self.manifest["holdout"])

    @property
    def keys(self) -> tuple[str, ...]:
        """The segment files it is made of, oldest first."""
        return tuple(key for key, _ in self.manifest["segments"])

    @cached_property
    def segments(self) -> Sequence[Segment]:
        """What it is made of, opened, oldest first."""
        return [self._segments.open(key) for key in self.keys]

    @cached_property
    def rows(self) -> "pa.Table":
        """`sample`, `side`, `label`, `annotation`, `by`, `origin`, sorted by sample."""
        return merged(self.segments, keep_gone=False)

    def side(self, side: str) -> "pa.Table":
        """The rows of one side."""
        import pyarrow.compute as pc

        return self.rows.filter(pc.equal(self.rows.column("side"), side))

    def find(self, samples: Iterable[SampleId]) -> dict[SampleId, Row]:
        """The rows of those samples that are in it; costs what is asked, not the whole."""
        rows = self.rows_of(samples)
        told = zip(*(rows.column(name).to_pylist() for name in COLUMNS), strict=True)
        return {row.sample: row for row in starmap(Row, told)}

    def rows_of(self, samples: Iterable[SampleId]) -> "pa.Table":
        """The same as a table, in no particular order."""
        import numpy as np
        import pyarrow as pa

        wanted = list(samples)
        found = [nothing()]
        for start in range(0, len(wanted), _LOOKUP):
            left = np.array([name.encode() for name in wanted[start : start + _LOOKUP]], dtype="S")
            for segment in reversed(self.segments):
                rows = segment.find(left)
                if rows.num_rows:
                    found.append(present(rows))
                    left = left[~np.isin(left, keys_of(rows))]
        return pa.concat_tables(found)

    @property
    def is_countable(self) -> bool:
        """Whether the next one can go on from it: not from the first form, nor from one whose
        rows are not all there any more."""
        return "fingerprint" in self.manifest and not self.forgotten

    @property
    def forgotten(self) -> int:
        """How many rows were taken out of its files since it was taken."""
        return sum(segment.forgotten for segment in self.segments)


class Snapshots:
    """The snapshots of one product: files that are written once and never again."""

    def __init__(self, place: Place, cache: Path | None = None) -> None:
        self._blobs = open_blobs(place)
        remote = located(place).folder is None
        self.segments = Segments(self._blobs, cache if remote else None)

    def open(self, snapshot: SnapshotId) -> Snapshot:
        """A snapshot by its id; `Refused` when there is none."""
        found = self.get(snapshot)
        if found is None:
            raise Refused(f"there is no snapshot {snapshot!r}; everloop snapshots list shows them")
        return found

    def get(self, snapshot: SnapshotId) -> Snapshot | None:
        """A snapshot by its id, if there is one."""
        if not snapshot.isalnum():
            return None
        told = self._blobs.get(f"{snapshot}{_MANIFEST}")
        if told is not None:
            return Snapshot(snapshot, json.loads(told), self.segments)
        told = self._blobs.get(f"{snapshot}.json")
        # The first form wrote the rows after what is told of them.
        if told is None or not any(b.key == f"{snapshot}{_FIRST_FORM}" for b in self._blobs.list()):
            return None
        about = json.loads(told)
        segments = [[f"{snapshot}{_FIRST_FORM}", about["train"] + about["holdout"]]]
        return Snapshot(snapshot, {**about, "segments": segments}, self.segments)

    def find(self, name: str) -> Snapshot:
        """The one snapshot whose id begins with `name`, or that has the tag `name`."""
        from everloop.data.tags import Tags

        tagged = Tags(self._blobs).get(name)
        if tagged is not None:
            return self.open(tagged)
        ids = self.ids()
        found = [s for s in ids if s.startswith(name)]
        if len(found) != 1:
            told = ", ".join(s[:8] for s in ids) or "none"
            raise Refused(f"{len(found)} snapshots begin with {name!r}; there are: {told}")
        return self.open(found[0])

    def list(self) -> Sequence[Snapshot]:
        """All snapshots, oldest first."""
        found = [self.open(snapshot) for snapshot in self.ids()]
        return sorted(found, key=lambda snapshot: (str(snapshot.manifest["taken_at"]), snapshot.id))

    def ids(self) -> Sequence[SnapshotId]:
        """The ids of all snapshots, sorted."""
        keys = [blob.key for blob in self._blobs.list() if "/" not in blob.key]
        ends = (_MANIFEST, _FIRST_FORM)
        return sorted({SnapshotId(k[: -len(end)]) for k in keys for end in ends if k.endswith(end)})

    def reached(self) -> frozenset[str]:
        """The keys, under this place, of all files that some snapshot or tag is made of."""
        from everloop.data.tags import FOLDER

        present = {blob.key for blob in self._blobs.list()}
        keys = {key for key in present if key.startswith(f"{FOLDER}/")}
        for snapshot in self.list():
            named = (snapshot.manifest.get(name) for name in ("delta", "excluded_file"))
            keys.update(snapshot.keys, (str(name or "") for name in named))
            keys |= {f"{snapshot.id}{end}" for end in (_MANIFEST, _FIRST_FORM, ".json")}
        return frozenset(keys & present)

    @property
    def tags(self) -> "Mapping[str, SnapshotId]":
        """Every tag and the snapshot that has it now."""
        from everloop.data.tags import Tags

        return Tags(self._blobs).all()

    def described(self, *snapshots: Snapshot) -> Sequence[dict[str, Json]]:
        """What people want to know of snapshots, the tags they have now among it."""
        named: dict[SnapshotId, tuple[str, ...]] = {}
        for name, snapshot in self.tags.items():
            named[snapshot] = (*named.get(snapshot, ()), name)
        return [{**each.summary(), "tags": list(named.get(each.id, ()))} for each in snapshots]

    def tag(self, name: str, snapshot: SnapshotId) -> None:
        """Give a snapshot a name; a tag of that name moves to it. See `Tags.put`."""
        from everloop.data.tags import Tags

        Tags(self._blobs).put(name, self.open(snapshot).id)

    def excluded(self, snapshot: Snapshot) -> Mapping[SampleId, str]:
        """Samples that were left out of a snapshot on purpose, and why."""
        key = snapshot.manifest.get("excluded_file")
        told = None if key is None else self._blobs.get(str(key))
        return {} if told is None else dict(json.loads(told))

    def write(
        self,
        snapshot: SnapshotId,
        manifest: Mapping[str, Json],
        excluded: Mapping[SampleId, str],
    ) -> Snapshot:
        """Write a snapshot's manifest; the same snapshot is written once."""
        told = dict(manifest)
        if excluded:
            data = canonical_json([list(each) for each in sorted(excluded.items())])
            told["excluded_file"] = f"excluded/{hashlib.sha256(data).hexdigest()}.json"
            self._blobs.put(str(told["excluded_file"]), data)
        # Last of all its files: a snapshot that can be opened can be read.
        self._blobs.put(f"{snapshot}{_MANIFEST}", canonical_json(told))
        return self.open(snapshot)

    def grown(self, base: Snapshot, newest: tuple[str, int]) -> Sequence[tuple[str, int]]:
        """The segments of `base` and a newer one, with the short ones at the end merged.

        A merged segment is at least as long as all that come after it together, so a row is
        written again only a few times, however many snapshots follow.
        """
        kept: list[tuple[str, int]] = [(key, int(rows)) for key, rows in base.manifest["segments"]]
        tail = [newest]
        while kept and kept[-1][1] < 2 * sum(rows for _, rows in tail):
            tail.insert(0, kept.pop())
        if len(tail) == 1:
            return [*kept, newest]
        table = merged([self.segments.open(key) for key, _ in tail], keep_gone=bool(kept))
        return [*kept, self.segments.write([table])] if table.num_rows else kept


def identity(pinned: Json) -> SnapshotId:
    """The id of the snapshot that pins this."""
    return SnapshotId(hashlib.sha256(canonical_json(pinned)).hexdigest())
