"""What more labels would bring, by the models that were judged so far."""

from collections.abc import Mapping
from dataclasses import dataclass

from everloop.data.checks.enough import fit_curve
from everloop.errors import Refused
from everloop.ids import Json, SnapshotId
from everloop.loop.models import judged_models
from everloop.loop.project import Project


@dataclass(frozen=True, slots=True)
class Outlook:
    """The learning curve read at three places."""

    models: int
    """How many models it was fitted to."""
    train: int
    """Training samples of the largest."""
    error: float
    """1 - accuracy, as the curve has it there."""
    with_twice: float
    """The same with twice the samples."""
    with_ten_times: float

    def as_json(self) -> Mapping[str, Json]:
        """All fields by name."""
        return {
            "models": self.models,
            "train": self.train,
            "error": self.error,
            "with_twice": self.with_twice,
            "with_ten_times": self.with_ten_times,
        }


def outlook(project: Project) -> Outlook | None:
    """None until models learnt from three different amounts of samples were judged."""
    points = []
    for model in judged_models(project):
        accuracy = model.metrics.get("accuracy")
        if accuracy is not None:
            snapshot = project.data.snapshots.open(SnapshotId(model.snapshot))
            points.append((int(snapshot.manifest["train"]), 1.0 - accuracy))
    try:
        curve = fit_curve(points)
    except Refused:
        return None
    most = max(size for size, _ in points)
    return Outlook(len(points), most, curve.at(most), curve.at(2 * most), curve.at(10 * most))
