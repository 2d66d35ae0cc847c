"""Relabelling campaigns: begun, and how far each has come."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from everloop.action import Action
from everloop.errors import Refused
from everloop.ids import Json, SnapshotId
from everloop.labelling.agreement import agree, cohen_kappa
from everloop.labels import decode
from everloop.loop.project import Project

_ROUND = "campaign "


def round_of(campaign: str) -> str:
    """The name of the round that a campaign's tasks are of."""
    return f"{_ROUND}{campaign}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign has come, and what it has changed."""

    campaign: str
    snapshot: SnapshotId
    tasks: Mapping[str, int]
    """How many are open, answered, recorded, skipped."""
    answered: int
    changed: int
    """Answers that are another label than the snapshot's."""
    kappa: float
    """Cohen's, between the snapshot's labels and the answers; NaN where it has none."""

    def as_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "campaign": self.campaign,
            "snapshot": self.snapshot,
            "tasks": dict(self.tasks),
            "answered": self.answered,
            "changed": self.changed,
            "kappa_with_before": self.kappa if math.isfinite(self.kappa) else None,
        }


def check_new(project: Project, action: Action) -> None:
    """Raise `Refused` where another campaign has this one's name."""
    name = action.inputs["campaign"]
    for entry in project.journal.entries(("relabel",)).values():
        if entry.action.inputs["campaign"] == name and entry.action.key != action.key:
            raise Refused(f"there is a campaign {name!r} already; give this one another name")


def campaigns(project: Project) -> list[Progress]:
    """Every campaign, oldest first."""
    begun = project.journal.entries(("relabel",)).values()
    return [
        _progress(project, entry.action)
        for entry in sorted(begun, key=lambda entry: entry.intended_at)
        if entry.outcome is not None and entry.outcome.succeeded
    ]


def _progress(project: Project, action: Action) -> Progress:
    name = str(action.inputs["campaign"])
    snapshot = SnapshotId(str(action.inputs["snapshot"]))
    said = [g for g in project.answers.all(round_of(name)) if g.label is not None]
    before = project.data.snapshots.open(snapshot).find([given.sample for given in said])
    pairs = [
        (before[g.sample].label, g.label)
        for g in said
        if g.sample in before and g.label is not None
    ]
    iou = project.policy.labelling.same_object
    changed = sum(not agree(decode(old or ""), decode(new), iou) for old, new in pairs)
    kappa = cohen_kappa([old or "" for old, _ in pairs], [new for _, new in pairs])
    of_classes = project.declaration.task.label_kind == "class"
    return Progress(
        name,
        snapshot,
        project.queue.counts(round_of(name)),
        len(said),
        changed,
        kappa if of_classes else math.nan,
    )
