"""Files that could not be taken in, each with its reason."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from everloop.ids import Json
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import canonical_json, digest_json


class Quarantine:
    """One file a source, replaced at each ingest: what is mended leaves it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "quarantine"

    def record(self, source: str, bad: Sequence[tuple[str, str]], now: datetime) -> None:
        """Say which files of a source are bad now."""
        path = self._folder / f"{digest_json(source)[:32]}.json"
        if not bad and not path.exists():
            return
        rows: list[Json] = [{"name": ascii(name)[1:-1], "reason": reason} for name, reason in bad]
        told = {"source": source, "at": now.isoformat(), "files": rows}
        write_atomic(path, canonical_json(told))

    def rows(self) -> list[dict[str, str]]:
        """`source`, `name` and `reason` of each bad file."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            told = json.loads(path.read_bytes())
            found += [{"source": told["source"], **row} for row in told["files"]]
        return found
