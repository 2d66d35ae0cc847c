"""What the storage of a table says when it fails, as errors that name the remedy."""

from collections.abc import Iterator
from contextlib import contextmanager

from everloop.data.table_files import VERSIONS
from everloop.errors import Unavailable


@contextmanager
def translated(name: str) -> Iterator[None]:
    """What the storage of the table `name` raises meanwhile is raised as `Unavailable`."""
    try:
        yield
    except (OSError, ValueError) as error:
        if not is_of_storage(error):
            raise
        raise explained(name, error) from error


def explained(name: str, error: Exception) -> Unavailable:
    """Why the table `name` cannot be used now."""
    told = str(error).partition("\n")[0]
    if is_race(error):
        return Unavailable(f"{name}: others' writes kept coming first: {told}")
    return Unavailable(f"{name} cannot be used: {told}")


def is_of_storage(error: Exception) -> bool:
    """Whether it is the storage that fails, and no mistake of ours."""
    # Opening a dataset reports a storage that fails as a ValueError, all else as an OSError.
    return isinstance(error, OSError) or "LanceError(IO)" in str(error)


def is_race(error: Exception) -> bool:
    """Whether another's write came first, so that trying again helps."""
    told = str(error).lower()
    # The last: another process dropped the versions that this commit began from.
    dropped = "not found" in told and f"{VERSIONS}/" in told
    return "conflict" in told or "already exists" in told or dropped
