"""Files that could not be taken in, each with its reason."""

import json
from collections.abc import Sequence
from datetime import datetime

from everloop.data.blobs import open_blobs
from everloop.data.location import Place
from everloop.ids import Json
from everloop_runtime.ids import canonical_json, digest_json


class Quarantine:
    """One file a source, the newest: what is mended leaves it."""

    def __init__(self, place: Place) -> None:
        self._blobs = open_blobs(place / "quarantine")

    def record(self, source: str, bad: Sequence[tuple[str, str]], now: datetime) -> None:
        """Say which files of a source are bad now."""
        folder = digest_json(source)[:32]
        older = sorted(blob.key for blob in self._blobs.list(folder))
        if not bad and not older:
            return
        rows: list[Json] = [{"name": ascii(name)[1:-1], "reason": reason} for name, reason in bad]
        told = canonical_json({"source": source, "at": now.isoformat(), "files": rows})
        # A file of its own for each ingest, since storages only promise that a new one is whole.
        number = int(older[-1].partition("/")[2][:8]) + 1 if older else 1
        self._blobs.put(f"{folder}/{number:08d}-{digest_json(rows)[:16]}.json", told)
        self._blobs.delete([*older, f"{folder}.json"])

    def rows(self) -> list[dict[str, str]]:
        """`source`, `name` and `reason` of each bad file."""
        newest: dict[str, str] = {}
        for blob in self._blobs.list():
            # A store of version 0.1 has one file a source, in no folder.
            source = blob.key.partition("/")[0].removesuffix(".json")
            newest[source] = max(newest.get(source, ""), blob.key)
        found = []
        for key in sorted(newest.values()):
            data = self._blobs.get(key)
            if data is not None:
                told = json.loads(data)
                found += [{"source": told["source"], **row} for row in told["files"]]
        return found
