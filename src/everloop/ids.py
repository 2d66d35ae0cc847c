"""Names of things in the control plane; the ones both planes share come from the runtime."""

from typing import NewType

from everloop_runtime.ids import BundleId, Json, PredictionId, SampleId

ActionKey = NewType("ActionKey", str)
"""`<kind>-<32 hex digits>`: an Action's kind and the digest of its inputs."""

AnnotationId = NewType("AnnotationId", str)
"""Hex digest of what an annotation says, of which sample, by whom, from where."""

SnapshotId = NewType("SnapshotId", str)
"""Hex fingerprint of everything a snapshot pins."""

QuarantineId = NewType("QuarantineId", str)
"""Hex digest of a bad file's source, name, reason and bytes."""

LabelTaskId = NewType("LabelTaskId", str)
"""Hex digest of the round and the sample a label task is about."""

PolicyVersion = NewType("PolicyVersion", str)
"""Hex digest of everything that decides what labellers see of a sample."""

RenditionId = NewType("RenditionId", str)
"""Lower-case hex SHA-256 of a rendition's bytes."""

__all__ = [
    "ActionKey",
    "AnnotationId",
    "BundleId",
    "Json",
    "LabelTaskId",
    "PolicyVersion",
    "PredictionId",
    "QuarantineId",
    "RenditionId",
    "SampleId",
    "SnapshotId",
]
