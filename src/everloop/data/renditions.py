"""Renditions: what labellers may see of samples, each named by the policy version that made it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypeAlias

from everloop.data.location import Place
from everloop.data.tables import LanceTable, text
from everloop.errors import Refused
from everloop.ids import Json, PolicyVersion, RenditionId, SampleId
from everloop_runtime.ids import canonical_json, digest_bytes

_AT_ONCE = 500
"""How many samples one look-up names."""
_FACTS = ["sample", "version", "id", "format", "width", "height", "regions", "held", "made_at"]
Claim: TypeAlias = tuple[SampleId, PolicyVersion, RenditionId]
"""That this is the rendition of the sample under the version."""


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
        self._place = place

    @cached_property
    def _bytes(self) -> LanceTable:
        import pyarrow as pa

        return LanceTable(
            self._place / "rendition_bytes.lance",
            pa.schema([pa.field("id", pa.string()), pa.field("data", pa.large_binary())]),
        )

    @cached_property
    def _facts(self) -> LanceTable:
        import pyarrow as pa

        return LanceTable(
            self._place / "renditions.lance",
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

    def add(self, renditions: Iterable[NewRendition], now: datetime) -> None:
        """Keep what is new; a sample that has a rendition of the version keeps that one."""
        given = {(rendition.sample, rendition.version): rendition for rendition in renditions}
        known = {
            (sample, version)
            for version in {version for _, version in given}
            for sample in self.of([s for s, v in given if v == version], version)
        }
        new = {key: rendition for key, rendition in given.items() if key not in known}
        if new:
            ids = [RenditionId(digest_bytes(r.data)) if r.data else None for r in new.values()]
            self._add_bytes({i: r.data for i, r in zip(ids, new.values(), strict=True) if i})
            self._add_facts(list(new.values()), ids, now)

    def _add_bytes(self, pictures: Mapping[RenditionId, bytes]) -> None:
        import pyarrow as pa

        stored = self._stored(list(pictures))
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
        found: dict[SampleId, RenditionFacts] = {}
        for names in _parts(list(dict.fromkeys(samples))):
            where = f"version = {text(version)} AND {_is_one_of('sample', names)}"
            for row in self._facts.rows(_FACTS, where).to_pylist():
                regions = tuple(json.loads(row.pop("regions")))
                facts = RenditionFacts(**row, regions=regions)
                found.setdefault(facts.sample, facts)
        return found

    def read(self, rendition: RenditionId) -> bytes:
        """The picture's bytes, as they were made; `Refused` when they are not there."""
        rows = self._bytes.rows(["data"], f"id = {text(rendition)}")
        if not rows.num_rows:
            raise Refused(f"rendition {rendition[:8]} is not in the store")
        data = rows.column("data")[0].as_py()
        if digest_bytes(data) != rendition:
            raise Refused(f"rendition {rendition[:8]} is damaged in the store")
        return bytes(data)

    def held(self, claims: Sequence[Claim]) -> Set[Claim]:
        """Those claims that are true: the sample's rendition under the version, its bytes here."""
        stored = self._stored([rendition for _, _, rendition in claims])
        true: set[Claim] = set()
        for version in {version for _, version, _ in claims}:
            facts = self.of([sample for sample, v, _ in claims if v == version], version)
            true |= {(f.sample, version, f.id) for f in facts.values() if f.id and f.id in stored}
        return true & set(claims)

    def _stored(self, ids: Sequence[RenditionId]) -> Set[str]:
        """Those pictures whose bytes are here."""
        found: set[str] = set()
        for names in _parts(ids):
            rows = self._bytes.rows(["id"], _is_one_of("id", names), ordered=False)
            found.update(rows.column("id").to_pylist())
        return found


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]


def _is_one_of(column: str, names: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(map(text, names))})"
