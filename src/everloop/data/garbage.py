"""What nothing reaches any more: found by a question, collected by a second step.

What is collected is removed before what told of it, so whoever is killed in between finds the
rest the next time: rows before versions, files before folders, scratch before its job's result.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from everloop.data.blobs import open_blobs
from everloop.data.folder import DRAFT
from everloop.data.holdings import HOLDINGS
from everloop.data.rewriting import Rewriting
from everloop.data.store import DataStore

GRACE = timedelta(hours=1)
"""A file that is younger may belong to a write that goes on."""
_MANY = 8
"""Fragments from which merging them pays."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """One thing that nothing reaches."""

    kind: str
    where: str
    bytes: int
    what: str
    """Why nothing needs it."""


@dataclass(frozen=True, slots=True)
class Found:
    """All garbage of a store."""

    rows: Sequence[str]
    """Ids of bytes that no fact names."""
    files: Sequence[tuple[str, str]]
    """Dataset, and the key under it, of files that no version names."""
    told: Sequence[Garbage]


def find(store: DataStore, now: datetime, *, grace: timedelta = GRACE) -> Found:
    """What could be collected; nothing is changed."""
    told: list[Garbage] = []
    rows = _bytes_without_facts(store, now, grace)
    if rows:
        told.append(Garbage("rows", "bytes.lance", 0, f"{len(rows)} samples that no fact names"))
    files: list[tuple[str, str]] = []
    for holding in HOLDINGS:
        table = Rewriting(store.place / holding.dataset)
        for blob in table.orphans():
            if now - blob.modified > grace:
                files.append((holding.dataset, blob.key))
                where = f"{holding.dataset}/{blob.key}"
                told.append(Garbage("file", where, blob.size, "no version names it"))
        told += _history(holding.dataset, table)
    for key, size in _unreached(store, now, grace):
        told.append(Garbage("file", key, size, "no snapshot or tag is made of it"))
    for draft in _drafts(store, now, grace):
        told.append(Garbage("file", str(draft), 0, "a write that was cut short"))
    return Found(tuple(rows), tuple(files), tuple(told))


def collect(store: DataStore, now: datetime, *, grace: timedelta = GRACE) -> Found:
    """Remove what `find` finds, and make few files of many small ones. Safe to repeat."""
    found = find(store, now, grace=grace)
    Rewriting(store.place / "bytes.lance").remove("id", found.rows)
    unreached = [key for key, _ in _unreached(store, now, grace)]
    open_blobs(store.place / "snapshots").delete(key.partition("/")[2] for key in unreached)
    for draft in _drafts(store, now, grace):
        draft.unlink(missing_ok=True)
    for holding in HOLDINGS:
        table = Rewriting(store.place / holding.dataset)
        table.delete_files(key for dataset, key in found.files if dataset == holding.dataset)
        table.purge(ordered=holding.ordered, merge=table.fragments() >= _MANY)
    return found


def _bytes_without_facts(store: DataStore, now: datetime, grace: timedelta) -> list[str]:
    """Left by writers that were cut short; one that goes on writes the facts in a moment."""
    # Bytes before facts, as they are written: a fact that comes in between is seen.
    present = Rewriting(store.place / "bytes.lance").old_values("id", now - grace)
    return sorted(present - Rewriting(store.place / "facts.lance").old_values("id", None))


def _history(dataset: str, table: Rewriting) -> Iterator[Garbage]:
    if (older := table.versions() - 1) > 0:
        yield Garbage("versions", dataset, 0, f"{older} versions before the newest")
    if (fragments := table.fragments()) >= _MANY:
        yield Garbage("fragments", dataset, 0, f"{fragments} small files that few could hold")


def _unreached(store: DataStore, now: datetime, grace: timedelta) -> list[tuple[str, int]]:
    blobs = list(open_blobs(store.place / "snapshots").list())
    reached = store.snapshots.reached()
    return [
        (f"snapshots/{blob.key}", blob.size)
        for blob in blobs
        if blob.key not in reached and now - blob.modified > grace
    ]


def _drafts(store: DataStore, now: datetime, grace: timedelta) -> list[Path]:
    """What a folder's writers leave when they are cut short; other storages have no such files."""
    folder = store.place.folder
    if folder is None:
        return []
    before = (now - grace).timestamp()
    return [path for path in sorted(folder.rglob(f"{DRAFT}*")) if path.stat().st_mtime < before]
