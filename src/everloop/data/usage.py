"""Who holds which bytes of a store."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from everloop.data.blobs import open_blobs
from everloop.data.store import DataStore


@dataclass(frozen=True, slots=True)
class Holder:
    """One table, or one folder of files."""

    name: str
    files: int
    bytes: int


def holders(store: DataStore) -> list[Holder]:
    """Every table and folder at the store's root with its files and their bytes, largest first."""
    files: dict[str, int] = defaultdict(int)
    size: dict[str, int] = defaultdict(int)
    for blob in open_blobs(store.place).list():
        name = blob.key.partition("/")[0]
        files[name] += 1
        size[name] += blob.size
    found = [Holder(name, files[name], size[name]) for name in files]
    return sorted(found, key=lambda holder: (-holder.bytes, holder.name))


def sources(store: DataStore) -> list[tuple[str, int]]:
    """How many samples each source brought, most first."""
    counts = Counter(store.samples.facts().column("source").to_pylist())
    return [(str(name), count) for name, count in counts.most_common()]
