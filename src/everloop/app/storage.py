"""Where a project's data lies: what its policy says, and the credentials of the environment."""

import os

from everloop.data.blobs import storage_of
from everloop.data.location import Location
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.layout import Layout
from everloop.policy import StoragePolicy

_FROM_ENVIRONMENT = {
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
}


def open_data(layout: Layout, storage: StoragePolicy) -> DataStore:
    """The data of the project at `layout`; see `data_location`."""
    return DataStore(data_location(layout, storage), layout.cache)


def data_location(layout: Layout, storage: StoragePolicy) -> Location:
    """Where the data lies, with all that is needed to reach it.

    Raises `Refused` for a scheme that is not installed.
    """
    if not storage.root:
        return Location(str(layout.data))
    location = Location(storage.root)
    if location.folder is not None:
        return Location(str((layout.project / storage.root).resolve()))
    if location.scheme == "file":
        raise Refused(f"[storage] root: name a local folder by its path; got {storage.root!r}")
    location = Location(storage.root, storage_options(storage))
    storage_of(location)
    return location


def storage_options(storage: StoragePolicy) -> dict[str, str]:
    """What reaches object stores: the policy's settings, and the credentials of the environment."""
    given = {name: os.environ.get(variable) for name, variable in _FROM_ENVIRONMENT.items()}
    told = {
        "endpoint": storage.endpoint,
        "region": storage.region,
        "timeout_s": f"{storage.timeout.total_seconds():g}",
        "patience_s": f"{storage.patience.total_seconds():g}",
    }
    return {**storage.options, **told, **{name: value for name, value in given.items() if value}}
