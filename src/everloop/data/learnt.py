"""Which snapshots had a sample, remembered for as long as its request to be forgotten is."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass

from everloop.data.blobs import open_blobs
from everloop.data.snapshots import Snapshot
from everloop.data.store import DataStore
from everloop.ids import SampleId, SnapshotId
from everloop_runtime.ids import canonical_json, digest_bytes


@dataclass(frozen=True, slots=True)
class Held:
    """How many of some samples a snapshot had."""

    snapshot: SnapshotId
    train: int
    holdout: int


def remember_snapshots(
    store: DataStore, request: str, samples: Collection[SampleId]
) -> tuple[Held, ...]:
    """The snapshots that have or had the samples; asked before their rows are taken out.

    What is found is kept in the store, so that asking again after the rows are gone says the same.
    """
    blobs = open_blobs(store.place / "forgotten" / request)
    found = [held for s in store.snapshots.list() if (held := _held(s, samples))]
    if found:
        told = canonical_json([asdict(held) for held in found])
        blobs.put(f"{digest_bytes(told)[:32]}.json", told)
    most: dict[SnapshotId, Held] = {}
    for blob in blobs.list():
        for row in json.loads(blobs.get(blob.key) or b"[]"):
            held = Held(**row)
            other = most.get(held.snapshot, held)
            most[held.snapshot] = Held(
                held.snapshot, max(held.train, other.train), max(held.holdout, other.holdout)
            )
    return tuple(most[name] for name in sorted(most))


def _held(snapshot: Snapshot, samples: Collection[SampleId]) -> Held | None:
    sides = [row.side for row in snapshot.find(samples).values()]
    if not sides:
        return None
    return Held(snapshot.id, sides.count("train"), len(sides) - sides.count("train"))
