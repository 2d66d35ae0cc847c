"""Pin the data set as it is labelled now."""

from collections.abc import Callable
from functools import lru_cache

from everloop.action import Action, Outcome
from everloop.data.checks.leaks import near_duplicate_leaks
from everloop.data.examined import DecodingLimits
from everloop.data.leaks import LeakCheck
from everloop.data.take import LabelRule, take
from everloop.errors import Refused
from everloop.labels import decode
from everloop.loop.project import Project, Turn
from everloop.tasks.task import Task, why_not_learnable

_TEXTS = 10_000
"""Label texts of which it is remembered whether they fit; class names come again and again."""


def snapshot(project: Project, turn: Turn, action: Action) -> Outcome:
    """An immutable snapshot of everything labelled.

    `Refused` when nothing is, and if a class has no sample of a task that could be learnt.
    """
    task = project.declaration.task
    taken = take(
        project.data,
        classes=task.classes,
        now=turn.now,
        split=project.split,
        labels=LabelRule(task.label_kind, _fits(task)),
        leaks=_leaks(project, action),
    )
    missing = [name for name in task.classes if not taken.train_counts.get(name)]
    if missing and why_not_learnable(task) is None:
        raise Refused(
            f"no training sample of class {', '.join(missing)}; label some, or leave the class out"
        )
    if not taken.train + taken.holdout:
        raise Refused("nothing is labelled yet; everloop data import SOURCE takes data in")
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


def _leaks(project: Project, action: Action) -> LeakCheck | None:
    if action.inputs.get("leaks") == "allow" or project.declaration.task.modality != "image":
        return None
    return near_duplicate_leaks(project.data, DecodingLimits(project.limits))


def _fits(task: Task) -> Callable[[str], bool]:
    @lru_cache(_TEXTS)
    def fits(text: str) -> bool:
        try:
            return task.accepts(decode(text)) is None
        except Refused:
            return False

    return fits
