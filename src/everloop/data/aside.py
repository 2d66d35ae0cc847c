"""What an import finds bad, set aside as it goes, in bounded memory."""

import threading
from collections import Counter
from datetime import datetime

from everloop.data.bad_files import BadFile, shown
from everloop.data.examined import Reason
from everloop.data.quarantine import Quarantine

_MOST_BYTES = 64_000_000
_MOST_FILES = 5_000


class Aside:
    """The bad files of one pass over a source; may be told of them on any thread."""

    def __init__(self, quarantine: Quarantine, source: str, location: str, now: datetime) -> None:
        self._quarantine, self._source, self._now = quarantine, source, now
        self._location = location.rstrip("/")
        self._lock = threading.Lock()
        self._held: list[BadFile] = []
        self._bytes = 0
        self._names: set[str] = set()
        self.reasons: Counter[str] = Counter()
        """How many, by reason."""

    def __len__(self) -> int:
        return self.reasons.total()

    def add(self, name: str, reason: Reason, told: str, data: bytes | None) -> None:
        """Set a file aside, with its bytes where they could be read."""
        with self._lock:
            where = f"{self._location}/{name}"
            self._held.append(BadFile(name, reason, told, where, data))
            self._bytes += len(data or b"")
            self._names.add(shown(name))
            self.reasons[reason] += 1
            if self._bytes >= _MOST_BYTES or len(self._held) >= _MOST_FILES:
                self._flush()

    def finish(self, *, whole: bool) -> None:
        """Write what is held. `whole`: the source was seen to its end: what is not bad is gone."""
        with self._lock:
            self._flush()
            if whole:
                before = {f.name for f in self._quarantine.standing() if f.source == self._source}
                mended = before - self._names
                if mended:
                    self._quarantine.record(self._source, (), self._now, looked_at=mended)

    def _flush(self) -> None:
        if self._held:
            names = {shown(bad.name) for bad in self._held}
            self._quarantine.record(self._source, self._held, self._now, looked_at=names)
        self._held, self._bytes = [], 0
