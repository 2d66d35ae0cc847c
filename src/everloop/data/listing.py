"""What lies in a source now, in one digest: found at the price of what changed.

A local folder is listed again only where its time of change differs from what was seen; a file
that is overwritten in place does not change its folder, so everything is looked at anew once that
costs less than a twentieth of the time that passed. A bucket has no folders: it is listed when
that costs as little.
"""

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from everloop.data.location import Location, Place, located
from everloop.data.sources.opened import open_tree
from everloop.data.sources.tree import is_note
from everloop.errors import EverloopError, Refused

_SHARE = 20
"""A full look may cost this part of the time since the last."""
_SETTLED_NS = 2_000_000_000
"""A folder that changed this short a time ago may change again within the same tick."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in a source now."""

    digest: str
    """Of all paths and stamps: it changes when the source does."""
    files: int
    """Without notes such as a README."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """One folder's own files."""

    changed: int | None
    """Its time of change in ns; None: it must be looked at again."""
    digest: bytes
    files: int
    inside: tuple[str, ...]
    """The folders in it, by path."""


@dataclass(slots=True)
class _Seen:
    listing: Listing
    at: float
    """When everything was looked at last, on the clock below."""
    cost: float
    """How long that took, in seconds."""
    folders: dict[str, _Folder] = field(default_factory=dict)


class Listings:
    """Remembers between two looks, in this process only: a new one looks at everything."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._failed: dict[str, tuple[float, EverloopError]] = {}
        """Until when, on the clock, a bucket that did not answer is not asked again."""

    def look(self, place: Place) -> Listing | None:
        """What lies at a place now; None when there is no such folder or file."""
        location = located(place)
        folder = location.folder
        if folder is not None and folder.is_file():
            facts = folder.stat()
            told = f"{folder.name} {facts.st_size} {facts.st_mtime_ns}"
            return Listing(hashlib.sha256(os.fsencode(told)).hexdigest(), 1)
        if folder is not None and not folder.is_dir():
            return None
        seen = self._seen.get(location.uri)
        began = self._clock()
        whole = seen is None or began - seen.at >= _SHARE * seen.cost
        if folder is not None:
            known = {} if seen is None or whole else seen.folders
            folders = _look(str(folder), known)
            listing = _of_folders(folders)
        elif seen is not None and not whole:
            return seen.listing
        else:
            folders, listing = {}, self._of_bucket(location, began)
        if seen is None or whole:
            self._seen[location.uri] = _Seen(listing, began, self._clock() - began, folders)
        else:
            seen.listing, seen.folders = listing, folders
        return listing

    def _of_bucket(self, location: Location, began: float) -> Listing:
        until, error = self._failed.get(location.uri, (began, None))
        if error is not None and began < until:
            raise error
        try:
            return _of_tree(location)
        except EverloopError as failure:
            now = self._clock()
            self._failed[location.uri] = now + _SHARE * (now - began), failure
            raise


def list_now(place: Place) -> Listing:
    """What lies at a place, everything looked at; `Refused` when there is nothing."""
    found = Listings().look(place)
    if found is None:
        raise Refused(f"{located(place).uri} is not a folder, nor a file")
    return found


def _look(root: str, known: dict[str, _Folder]) -> dict[str, _Folder]:
    """All folders below `root` by path; those that did not change are taken from `known`."""
    found: dict[str, _Folder] = {}
    waiting = [""]
    while waiting:
        path = waiting.pop()
        try:
            changed = Path(root, path).stat().st_mtime_ns
            before = known.get(path)
            same = before is not None and before.changed == changed
            now = before if before is not None and same else _list(root, path, changed)
        except FileNotFoundError:
            continue  # It went while its neighbours were looked at.
        found[path] = now
        waiting += now.inside
    return found


def _list(root: str, path: str, changed: int) -> _Folder:
    settled = time.time_ns() - changed > _SETTLED_NS
    files: list[str] = []
    inside: list[str] = []
    count = 0
    with os.scandir(f"{root}/{path}") as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                inside.append(f"{path}/{entry.name}" if path else entry.name)
            elif entry.is_file(follow_symlinks=False) and not is_note(entry.name):
                facts = entry.stat(follow_symlinks=False)
                files.append(f"{entry.name}\0{facts.st_size}-{facts.st_mtime_ns}")
                count += not entry.name.endswith(".txt")
    digest = hashlib.sha256(os.fsencode("\0\0".join(sorted(files)))).digest()
    return _Folder(changed if settled else None, digest, count, tuple(inside))


def _of_folders(folders: dict[str, _Folder]) -> Listing:
    digest = hashlib.sha256()
    for path in sorted(folders):
        digest.update(hashlib.sha256(os.fsencode(path)).digest() + folders[path].digest)
    return Listing(digest.hexdigest(), sum(folder.files for folder in folders.values()))


def _of_tree(place: Place) -> Listing:
    tree = open_tree(place)
    try:
        digest, files = hashlib.sha256(), 0
        for entry in tree.walk():
            if not is_note(entry.path):
                digest.update(os.fsencode(f"{len(entry.path)} {entry.path} {entry.stamp}\n"))
                files += not entry.path.endswith(".txt")
        return Listing(digest.hexdigest(), files)
    finally:
        tree.close()
