"""Tags: names that people give to snapshots and may move."""

import re
from collections.abc import Mapping

from everloop.data.blobs import BlobStore
from everloop.errors import Conflict, Refused
from everloop.ids import SnapshotId

FOLDER = "tags"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")
_DIGITS = 8


class Tags:
    """A tag is a row of files, one a move; the last stands. So a move is a create-only write."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def get(self, name: str) -> SnapshotId | None:
        """The snapshot of a tag, if there is that tag."""
        if not _NAME.fullmatch(name):
            return None
        moves = self._moves(name)
        data = self._blobs.get(moves[-1]) if moves else None
        return None if data is None else SnapshotId(data.decode())

    def all(self) -> Mapping[str, SnapshotId]:
        """Every tag and its snapshot, sorted by name."""
        names = {blob.key.split("/")[1] for blob in self._blobs.list(FOLDER)}
        found = {name: self.get(name) for name in sorted(names)}
        return {name: snapshot for name, snapshot in found.items() if snapshot is not None}

    def put(self, name: str, snapshot: SnapshotId) -> None:
        """Move a tag. Raises `Refused` for a name that could be an id, `Conflict` when another
        moved the tag at the same moment."""
        if not _NAME.fullmatch(name) or re.fullmatch(r"[0-9a-f]+", name):
            raise Refused(
                f"a tag begins with a letter, goes on with letters, digits, '.', '_' or '-', and "
                f"does not look like an id; got {name!r}"
            )
        if self.get(name) == snapshot:
            return
        number = len(self._moves(name))
        key = f"{FOLDER}/{name}/{number:0{_DIGITS}}"
        if not self._blobs.put(key, snapshot.encode()):
            raise Conflict(f"tag {name!r} was moved by another at the same moment; look again")

    def _moves(self, name: str) -> list[str]:
        return sorted(blob.key for blob in self._blobs.list(f"{FOLDER}/{name}"))
