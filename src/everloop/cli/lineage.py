"""From a bundle to the snapshot it learnt from."""

from typing import TYPE_CHECKING

from everloop.ids import BundleId, SnapshotId

if TYPE_CHECKING:
    from everloop.loop.project import Project


def snapshot_of(project: "Project", bundle: BundleId, named: str | None) -> SnapshotId:
    """The snapshot a person named, or else the one in the bundle's lineage."""
    from everloop_runtime.bundle import open_bundle

    if named is not None:
        return project.data.snapshots.find(named).id
    manifest = open_bundle(project.layout.bundles / bundle, bundle).manifest
    return SnapshotId(str(manifest.lineage["snapshot"]))
