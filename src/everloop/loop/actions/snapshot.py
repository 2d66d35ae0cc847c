"""Pin the data set as it is labelled now."""

from everloop.action import Action, Outcome
from everloop.data.take import take
from everloop.errors import Refused
from everloop.loop.project import Project, Turn


def snapshot(project: Project, turn: Turn, action: Action) -> Outcome:
    """An immutable snapshot of everything labelled; `Refused` if a class has no sample."""
    classes = project.declaration.task.classes
    taken = take(project.data, classes=classes, now=turn.now)
    missing = [name for name in classes if not taken.train_counts.get(name)]
    if missing:
        raise Refused(
            f"no training sample of class {', '.join(missing)}; label some, or leave the class out"
        )
    return Outcome(
        final=True,
        result={
            "snapshot": taken.id,
            "samples": taken.train + taken.holdout,
            "train": taken.train,
            "holdout": taken.holdout,
            "labels": action.inputs["labels"],
        },
    )
