"""Lineage both ways: the models that saw a sample, and the samples that a model saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from everloop.data.annotations import Annotation
from everloop.errors import Refused
from everloop.ids import BundleId, Json, SampleId, SnapshotId
from everloop.loop.project import Project
from everloop_runtime.bundle import open_bundle


@dataclass(frozen=True, slots=True)
class Seen:
    """One snapshot that pins a sample."""

    snapshot: SnapshotId
    side: str
    label: str
    models: tuple[BundleId, ...]
    """Learnt from this snapshot: from the sample itself where its side is `train`."""


@dataclass(frozen=True, slots=True)
class SampleLineage:
    """Where a sample went."""

    sample: SampleId
    side: str
    origin: str
    labels: tuple[Annotation, ...]
    """All that was ever said of it, in order."""
    snapshots: tuple[Seen, ...]
    """Oldest first."""

    def as_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "sample": self.sample,
            "side": self.side,
            "origin": self.origin,
            "labels": [
                {"label": a.label, "by": a.by, "kind": a.kind, "at": a.at.isoformat()}
                for a in self.labels
            ],
            "snapshots": [
                {
                    "snapshot": seen.snapshot,
                    "side": seen.side,
                    "label": seen.label,
                    "models": list(seen.models),
                }
                for seen in self.snapshots
            ],
            "models": sorted({b for s in self.snapshots if s.side == "train" for b in s.models}),
        }


@dataclass(frozen=True, slots=True)
class ModelLineage:
    """What a model saw of one side."""

    snapshot: SnapshotId
    samples: Sequence[tuple[str, str, str, str]]
    """Sample, label, annotation, by; sorted by sample."""


def lineage_of_sample(project: Project, sample: SampleId) -> SampleLineage:
    """Where a sample went; `Refused` when neither the store nor a snapshot knows it.

    Costs a look into each snapshot, not its whole.
    """
    models = _models(project)
    snapshots = []
    for snapshot in project.data.snapshots.list():
        row = snapshot.find([sample]).get(sample)
        if row is not None:
            learnt = models.get(snapshot.id, ())
            snapshots.append(Seen(snapshot.id, row.side, row.label, tuple(learnt)))
    place = project.data.samples.places([sample]).get(sample)
    if place is None and not snapshots:
        raise Refused(f"no sample {sample!r} in the store or in a snapshot; give its whole id")
    return SampleLineage(
        sample,
        snapshots[-1].side if place is None else place.side,
        "no longer in the store" if place is None else place.origin,
        tuple(project.data.annotations.history(sample)),
        tuple(snapshots),
    )


def samples_of_model(project: Project, bundle: BundleId, side: str) -> ModelLineage:
    """The samples of one side of the snapshot that a bundle was learnt from."""
    snapshot = _snapshot(project, bundle)
    rows = project.data.snapshots.open(snapshot).side(side)
    columns = (rows.column(name).to_pylist() for name in ("sample", "label", "annotation", "by"))
    return ModelLineage(snapshot, list(zip(*columns, strict=True)))


def _models(project: Project) -> Mapping[SnapshotId, Sequence[BundleId]]:
    folder = project.layout.bundles
    found: dict[SnapshotId, list[BundleId]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not path.name.startswith("."):
            bundle = BundleId(path.name)
            found.setdefault(_snapshot(project, bundle), []).append(bundle)
    return found


def _snapshot(project: Project, bundle: BundleId) -> SnapshotId:
    manifest = open_bundle(project.layout.bundles / bundle, bundle).manifest
    return SnapshotId(str(manifest.lineage["snapshot"]))
