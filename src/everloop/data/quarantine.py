"""Files that could not be taken in: why, where they are, and their bytes to look at.

A history that only grows: a file is set aside, and later mended, forced or gone. What stands now
is derived from it.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from everloop.data.bad_files import BadFile, Quarantined, ended, id_of, row_of
from everloop.data.blobs import open_blobs
from everloop.data.location import Place
from everloop.data.tables import LanceTable, text
from everloop.errors import Refused
from everloop.ids import QuarantineId, SampleId
from everloop_runtime.ids import digest_json, sample_id

KEPT_FILE = 20_000_000
"""A bad file of more bytes is not kept here; its source has it."""
KEPT_TOTAL = 1_000_000_000
"""Nor is any once so many bytes of bad files are kept."""
_TEXT = ("id", "event", "source", "name", "reason", "text", "where", "digest", "by", "sample")


class Quarantine:
    """Events in one dataset, the bytes of bad files in another."""

    def __init__(self, place: Place) -> None:
        import pyarrow as pa

        self._event_schema = pa.schema(
            [
                *(pa.field(name, pa.string()) for name in _TEXT),
                pa.field("size", pa.int64()),
                pa.field("at", pa.timestamp("us", tz="UTC")),
            ]
        )
        self._byte_schema = pa.schema(
            [
                pa.field("digest", pa.string()),
                pa.field("size", pa.int64()),
                pa.field("data", pa.large_binary()),
            ]
        )
        self._events = LanceTable(place / "quarantine.lance", self._event_schema)
        self._bytes = LanceTable(place / "quarantine_bytes.lance", self._byte_schema)
        self._standing: dict[QuarantineId, Quarantined] | None = None
        self._settled: set[QuarantineId] = set()
        self._read_to = 0
        self._moves = 0
        self._old = open_blobs(place / "quarantine")

    def record(
        self,
        source: str,
        bad: Iterable[BadFile],
        now: datetime,
        *,
        looked_at: Collection[str] | None = None,
    ) -> int:
        """Set files aside and return how many were not known to be bad.

        What stood before of this source, was looked at again and is not bad any more is gone.
        `looked_at`: the names that were; None when it was the whole source.
        """
        standing = {each.id: each for each in self.standing() if each.source == source}
        found = {id_of(source, each): each for each in bad}
        # What a person had taken in after all is not set aside again.
        settled = standing.keys() | self._settled
        new = {name: each for name, each in found.items() if name not in settled}
        gone = [
            each
            for each in standing.values()
            if each.id not in found and (looked_at is None or each.name in looked_at)
        ]
        self._keep(new.values())
        rows = [row_of("bad", source, name, each, now) for name, each in new.items()]
        self._append([*rows, *(ended(each, "gone", "", None, now) for each in gone)])
        return len(new)

    def close(
        self,
        file: Quarantined,
        event: Literal["mended", "forced"],
        *,
        by: str,
        sample: SampleId,
        now: datetime,
    ) -> None:
        """Say that a person had a file taken in after all, as `sample`."""
        self._append([ended(file, event, by, sample, now)])

    def _keep(self, files: Iterable[BadFile]) -> None:
        import pyarrow as pa

        with_bytes = {sample_id(each.data): each.data for each in files if each.data}
        kept = self._bytes.rows(["digest", "size"])
        known = set(kept.column("digest").to_pylist())
        room = KEPT_TOTAL - sum(kept.column("size").to_pylist())
        rows = []
        for digest, data in with_bytes.items():
            if digest not in known and len(data) <= min(KEPT_FILE, room):
                room -= len(data)
                rows.append({"digest": digest, "size": len(data), "data": data})
        if rows:
            self._bytes.append(pa.Table.from_pylist(rows, self._byte_schema))

    def _append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        import pyarrow as pa

        if rows:
            self._events.append(pa.Table.from_pylist(list(rows), self._event_schema))

    def standing(self) -> Sequence[Quarantined]:
        """What is set aside now, oldest first; only new events are read."""
        moves = self._events.moves()
        if moves != self._moves:
            # Rows were taken out: everything is read again.
            self._standing, self._read_to, self._moves = None, 0, moves
            self._settled.clear()
        if self._standing is None:
            self._standing = {each.id: each for each in self._written_before()}
        total = self._events.count()
        if total > self._read_to:
            columns = [*_TEXT, "size", "at"]
            rows = self._events.window(columns, "id IS NOT NULL", self._read_to, total)
            for row in rows.to_pylist():
                self._see(self._standing, row)
            self._read_to = total
        return tuple(self._standing.values())

    def _written_before(self) -> Iterator[Quarantined]:
        """What stores of version 0.1 kept: one JSON file a source, without codes or bytes."""
        for blob in self._old.list():
            told = json.loads(self._old.get(blob.key) or b"{}")
            for row in told.get("files", ()):
                source, name = told["source"], row["name"]
                yield Quarantined(
                    QuarantineId(digest_json([source, name, row["reason"]])),
                    source, name, "broken", row["reason"], f"{source.rstrip('/')}/{name}", "", 0,
                    datetime.fromisoformat(told["at"]),
                )  # fmt: skip

    def _see(self, standing: dict[QuarantineId, Quarantined], row: Mapping[str, Any]) -> None:
        name = QuarantineId(row["id"])
        if row["event"] == "bad":
            told = {key: row[key] for key in row if key not in {"event", "by", "sample"}}
            standing.setdefault(name, Quarantined(**told))
            return
        standing.pop(name, None)
        if row["event"] != "gone":
            self._settled.add(name)

    def find(self, prefix: str) -> Quarantined:
        """The one standing file whose id begins with `prefix`; `Refused` otherwise."""
        found = [each for each in self.standing() if each.id.startswith(prefix)]
        if len(found) != 1:
            told = f"{len(found)} quarantined files begin with {prefix!r}"
            raise Refused(f"{told}; everloop data quarantine list shows them")
        return found[0]

    def bytes_of(self, file: Quarantined) -> bytes | None:
        """The kept bytes of a file; None when they were too many or never read."""
        rows = self._bytes.rows(["data"], f"digest = {text(file.digest)}")
        return bytes(rows.column("data")[0].as_py()) if rows.num_rows else None

    def counts(self) -> Mapping[str, int]:
        """How many files stand, by reason, most first."""
        return dict(Counter(each.reason for each in self.standing()).most_common())

    def history(self, name: QuarantineId) -> Sequence[Mapping[str, Any]]:
        """All events of one file, in order."""
        columns = ["event", "reason", "text", "by", "sample", "at"]
        told: Sequence[Mapping[str, Any]] = self._events.rows(
            columns, f"id = {text(name)}"
        ).to_pylist()
        return told
