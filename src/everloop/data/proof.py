"""Looking for the bytes of forgotten samples in every file there is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from everloop.data.blobs import BlobStore, open_blobs
from everloop.data.folder import FolderBlobs
from everloop.data.forgotten import Tombstone
from everloop.data.location import Location
from everloop.data.marks import Search


@dataclass(frozen=True, slots=True)
class Find:
    """A file that holds bytes of samples."""

    place: Location
    key: str
    modified: datetime
    samples: tuple[str, ...]

    @property
    def where(self) -> str:
        """As people are told of it."""
        return f"{self.place.uri.rstrip('/')}/{self.key}"


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search went through, and what it found."""

    files: int
    bytes: int
    finds: tuple[Find, ...]


def search(places: Iterable[Location], tombstones: Iterable[Tombstone]) -> Searched:
    """Read every file under `places`, also hidden ones and drafts, and look for the marks."""
    marks = Search((each.sample, each.marks) for each in tombstones)
    files = size = 0
    finds = []
    for place, blobs, key, modified in _files(places):
        data = blobs.view(key)
        if data is None:
            continue
        files, size = files + 1, size + len(data)
        if names := marks.within(data):
            finds.append(Find(place, key, modified, tuple(names)))
    return Searched(files, size, tuple(finds))


def _files(
    places: Iterable[Location],
) -> Iterator[tuple[Location, BlobStore, str, datetime]]:
    for place in places:
        folder = place.folder
        if folder is None:
            blobs = open_blobs(place)
            yield from ((place, blobs, blob.key, blob.modified) for blob in blobs.list())
        else:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.is_symlink():
                    key = path.relative_to(folder).as_posix()
                    yield place, FolderBlobs(folder), key, _modified(path)


def _modified(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.now(UTC)
