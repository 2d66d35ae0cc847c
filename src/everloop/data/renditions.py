"""Renditions: what labellers may see of samples, each named by the policy version that made it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from everloop.data.location import Place
from everloop.data.tables import LanceTable
from everloop.errors import Refused
from everloop.ids import Json, PolicyVersion, RenditionId, SampleId
from everloop_runtime.ids import canonical_json, digest_bytes


@dataclass(frozen=True, slots=True)
class NewRendition:
    """The result of the filters on one sample, on its way in."""

    sample: SampleId
    version: PolicyVersion
    data: bytes
    """The encoded picture; empty when none could be made."""
    format: str
    width: int
    height: int
    regions: Sequence[Mapping[str, Json]]
    """What was covered: kind, score and box; never the text itself."""
    held: str | None
    """Why labellers may not see it; None: they may."""


@dataclass(frozen=True, slots=True)
class RenditionFacts:
    """What is known of a stored rendition."""

    sample: SampleId
    version: PolicyVersion
    id: RenditionId | None
    """None: no picture could be made."""
    format: str
    width: int
    height: int
    regions: tuple[Mapping[str, Json], ...]
    held: str | None
    made_at: datetime


class Renditions:
    """Immutable; the first rendition of a sample under a policy version stands.

    Bytes before facts, as with samples: a crash in between leaves bytes that no fact names.
    """

    def __init__(self, place: Place) -> None:
        import pyarrow as pa

        self._bytes = LanceTable(
            place / "rendition_bytes.lance",
            pa.schema([pa.field("id", pa.string()), pa.field("data", pa.large_binary())]),
        )
        self._facts = LanceTable(
            place / "renditions.lance",
            pa.schema(
                [
                    pa.field("sample", pa.string()),
                    pa.field("version", pa.string()),
                    pa.field("id", pa.string()),
                    pa.field("format", pa.string()),
                    pa.field("width", pa.int32()),
                    pa.field("height", pa.int32()),
                    pa.field("regions", pa.string()),
                    pa.field("held", pa.string()),
                    pa.field("made_at", pa.timestamp("us", tz="UTC")),
                ]
            ),
        )
        self._stored: dict[str, int] = {}
        self._stored_at = 0
        self._known: dict[tuple[str, str], RenditionFacts] = {}
        self._known_at = 0
        self._moves = (0, 0)

    def add(self, renditions: Iterable[NewRendition], now: datetime) -> None:
        """Keep what is new; a sample that has a rendition of the version keeps that one."""
        known = self._all()
        new = {
            (rendition.sample, rendition.version): rendition
            for rendition in renditions
            if (rendition.sample, rendition.version) not in known
        }
        if new:
            ids = [RenditionId(digest_bytes(r.data)) if r.data else None for r in new.values()]
            self._add_bytes({i: r.data for i, r in zip(ids, new.values(), strict=True) if i})
            self._add_facts(list(new.values()), ids, now)

    def _add_bytes(self, pictures: Mapping[RenditionId, bytes]) -> None:
        import pyarrow as pa

        stored = self._positions()
        rows = {name: data for name, data in pictures.items() if name not in stored}
        if rows:
            columns = {
                "id": pa.array(list(rows), pa.string()),
                "data": pa.array(list(rows.values()), pa.large_binary()),
            }
            self._bytes.append(pa.table(columns))

    def _add_facts(
        self, new: Sequence[NewRendition], ids: Sequence[RenditionId | None], now: datetime
    ) -> None:
        import pyarrow as pa

        regions = [canonical_json(list(r.regions)).decode() for r in new]
        self._facts.append(
            pa.table(
                {
                    "sample": pa.array([r.sample for r in new], pa.string()),
                    "version": pa.array([r.version for r in new], pa.string()),
                    "id": pa.array(ids, pa.string()),
                    "format": pa.array([r.format for r in new], pa.string()),
                    "width": pa.array([r.width for r in new], pa.int32()),
                    "height": pa.array([r.height for r in new], pa.int32()),
                    "regions": pa.array(regions, pa.string()),
                    "held": pa.array([r.held for r in new], pa.string()),
                    "made_at": pa.array([now] * len(new), pa.timestamp("us", tz="UTC")),
                }
            )
        )

    def of(
        self, samples: Iterable[SampleId], version: PolicyVersion
    ) -> Mapping[SampleId, RenditionFacts]:
        """The renditions of samples under one policy version; those without one are left out."""
        known = self._all()
        return {sample: known[sample, version] for sample in samples if (sample, version) in known}

    def read(self, rendition: RenditionId) -> bytes:
        """The picture's bytes, as they were made; `Refused` when they are not there."""
        stored = self._positions()
        if rendition not in stored:
            raise Refused(f"rendition {rendition[:8]} is not in the store")
        (data,) = self._bytes.take([stored[rendition]], ["data"]).column("data").to_pylist()
        if digest_bytes(data) != rendition:
            raise Refused(f"rendition {rendition[:8]} is damaged in the store")
        return bytes(data)

    def holds(self, sample: SampleId, version: PolicyVersion, rendition: RenditionId) -> bool:
        """Whether this is the rendition of the sample under the version, with its bytes here."""
        facts = self._all().get((sample, version))
        return facts is not None and facts.id == rendition and rendition in self._positions()

    def _positions(self) -> dict[str, int]:
        """Row of each picture's bytes; only rows that came since the last call are read."""
        self._look_anew()
        total = self._bytes.count()
        if total > self._stored_at:
            rows = self._bytes.window(["id"], "id IS NOT NULL", self._stored_at, total)
            for offset, name in enumerate(rows.column("id").to_pylist()):
                self._stored.setdefault(name, self._stored_at + offset)
            self._stored_at = total
        return self._stored

    def _look_anew(self) -> None:
        """What is known of places is void once rows were taken out."""
        moves = self._bytes.moves(), self._facts.moves()
        if moves != self._moves:
            self._moves = moves
            self._stored, self._stored_at = {}, 0
            self._known, self._known_at = {}, 0

    def _all(self) -> dict[tuple[str, str], RenditionFacts]:
        self._look_anew()
        total = self._facts.count()
        if total > self._known_at:
            columns = ["sample", "version", "id", "format", "width", "height", "regions", "held",
                       "made_at"]  # fmt: skip
            rows = self._facts.window(columns, "sample IS NOT NULL", self._known_at, total)
            for row in rows.to_pylist():
                regions = tuple(json.loads(row.pop("regions")))
                facts = RenditionFacts(**row, regions=regions)
                self._known.setdefault((facts.sample, facts.version), facts)
            self._known_at = total
        return self._known
