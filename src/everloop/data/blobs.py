"""Whole files on any storage: written once, listed, read, deleted. Schemes are found by name."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import entry_points
from typing import Protocol

from everloop.data.folder import FolderBlobs
from everloop.data.location import Location, Place, located
from everloop.errors import Refused

GROUP = "everloop.storage"
"""Entry points of this group name a `Storage` by the scheme of its URIs."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One file of a store."""

    key: str
    size: int
    modified: datetime


class BlobStore(Protocol):
    """Files under one location, each under a key such as `snapshots/1f.json`.

    Nobody ever sees half a file. Every method raises `Unavailable` when the storage does not
    answer within its bounds, and `Refused` for a key that is not a plain relative path, or when
    the storage does not let us in.
    """

    def put(self, key: str, data: bytes) -> bool:
        """Write a file that is not there yet; False, and nothing changes, where one is.

        Durable when this returns. One of several writers at once writes, the others get False.
        """

    def get(self, key: str) -> bytes | None:
        """All of a file; None where there is none."""

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """`length` bytes from `start`, fewer at the end; None where there is no file."""

    def view(self, key: str) -> memoryview | None:
        """All of a file to look into at random: mapped where the storage can, else read."""

    def list(self, under: str = "") -> Iterator[Blob]:
        """All files, or those under `under/`, at any depth, in no particular order."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files; those that are not there are passed over."""


class Storage(Protocol):
    """One kind of storage: what a scheme's entry point names. Made without arguments."""

    def blobs(self, location: Location) -> BlobStore:
        """Files under a location of this scheme."""

    def dataset(self, location: Location) -> tuple[str, Mapping[str, str]]:
        """The URI and `storage_options` by which Lance opens a dataset there.

        It must honour create-only writes (`If-None-Match: *`): commits need only those.
        """


def open_blobs(place: Place) -> BlobStore:
    """Files under `place`; `Refused` naming the installed schemes for an unknown one."""
    location = located(place)
    folder = location.folder
    return FolderBlobs(folder) if folder is not None else storage_of(location).blobs(location)


def storage_of(location: Location) -> Storage:
    """The storage of a location's scheme; `Refused` naming the installed ones otherwise."""
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if location.scheme not in installed:
        told = ", ".join(sorted({"a folder's path", *installed}))
        raise Refused(f"no storage scheme {location.scheme!r}; installed: {told}")
    storage: Storage = installed[location.scheme].load()()
    return storage


def dataset_address(location: Location) -> tuple[str, Mapping[str, str]]:
    """The URI and `storage_options` by which Lance opens a dataset at `location`."""
    if location.folder is not None:
        return location.uri, {}
    return storage_of(location).dataset(location)
