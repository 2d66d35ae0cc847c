"""Four eyes: who made a model does not let it go live alone."""

from collections import Counter
from collections.abc import Iterable, Mapping
from weakref import WeakKeyDictionary

from everloop.action import Action
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import BundleId, SnapshotId
from everloop.loop.project import Project
from everloop_runtime.bundle import open_bundle

_LABELLERS: WeakKeyDictionary[DataStore, dict[SnapshotId, Counter[str]]] = WeakKeyDictionary()
"""Who labelled what a snapshot has; it never changes, and each look at the world asks for it."""


def lacking(project: Project, bundle: BundleId) -> str | None:
    """What the approvals of a bundle lack so far; None: nothing, or it has none that count.

    Where the policy wants four eyes, one approval is enough from somebody who neither trained the
    model nor labelled what it learnt from or was measured on; otherwise two people must approve.
    """
    if not project.policy.approval.four_eyes:
        return None
    approved = {each.by for each in project.decisions.approvals(bundle)}
    if len(approved) != 1:
        return None
    (by,) = approved
    why = involved(project, bundle, by)
    return None if why is None else f"{by} {why}: somebody else must approve it too"


def half_approved(project: Project, bundles: Iterable[BundleId]) -> Mapping[BundleId, str]:
    """Those bundles whose approvals are not enough, and what they lack."""
    found = {bundle: lacking(project, bundle) for bundle in bundles}
    return {bundle: why for bundle, why in found.items() if why is not None}


def involved(project: Project, bundle: BundleId, person: str) -> str | None:
    """What somebody had to do with a bundle's making; None: nothing.

    Of a bundle whose snapshot cannot be read, everybody may have labelled.
    """
    try:
        lineage = open_bundle(project.layout.bundles / bundle, bundle).manifest.lineage
        labelled = _labellers(project.data, SnapshotId(str(lineage.get("snapshot", ""))))
    except Refused as error:
        return f"may have made it ({error})"
    if person in _trainers(project, str(lineage.get("run", ""))):
        return "trained it"
    count = labelled[person]
    return f"labelled {count} of its samples" if count else None


def _trainers(project: Project, run: str) -> set[str]:
    """Who asked for a training; nobody where the loop decided by itself."""
    return {
        asked.by
        for asked in project.requests.all("act")
        if asked.inputs["kind"] == "train"
        and isinstance(asked.inputs["inputs"], Mapping)
        and Action("train", asked.inputs["inputs"]).key == run
    }


def _labellers(data: DataStore, snapshot: SnapshotId) -> Counter[str]:
    known = _LABELLERS.setdefault(data, {})
    if snapshot not in known:
        known[snapshot] = Counter(data.snapshots.open(snapshot).rows.column("by").to_pylist())
    return known[snapshot]
