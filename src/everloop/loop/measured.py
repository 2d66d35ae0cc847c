"""A hold-out as a model answered it, looked through: by slice, by what was said, and how surely."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from everloop.evaluation.evaluate import load
from everloop.ids import BundleId, SampleId
from everloop.loop.cards import latest
from everloop.loop.project import Project
from everloop_runtime.bundle import open_bundle


@dataclass(frozen=True, slots=True)
class Answered:
    """One sample of the hold-out, and what the model said of it."""

    row: int
    sample: SampleId
    label: str
    """What people said when it was measured, as its text."""
    said: str
    """What the model says, as the text of a label."""
    confidence: float | None
    quality: float
    """How good the answer is; what that means is the task's."""


@dataclass(frozen=True, slots=True)
class Sought:
    """Which of them; what is empty, None or False leaves everything in."""

    slice: str = ""
    said: str = ""
    surest: float | None = None
    """Answers at most so sure, 0 to 1."""
    wrong: bool = False
    """Only those that are not as good as the best."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The answers of one bundle to one hold-out."""

    bundle: BundleId
    answers: tuple[Answered, ...]
    slices: Mapping[str, tuple[int, ...]]
    """The rows of each, the worst slice first."""

    def after(self, sought: Sought, row: int) -> Iterator[Answered]:
        """Those that fit from a row on, in their order."""
        best = max((each.quality for each in self.answers), default=0.0)
        if sought.slice:
            rows: Sequence[int] = self.slices.get(sought.slice, ())
        else:
            rows = range(len(self.answers))
        for place in rows:
            each = self.answers[place]
            if place >= row and _fits(each, sought, best):
                yield each


def _fits(each: Answered, sought: Sought, best: float) -> bool:
    if sought.said and each.said != sought.said:
        return False
    if sought.wrong and each.quality >= best:
        return False
    return sought.surest is None or (
        each.confidence is not None and each.confidence <= sought.surest
    )


_QUICK = 8_000_000
"""Bytes of an evaluation that is read within moments: some ten thousand answers."""


def measured(project: Project, bundle: BundleId) -> Measured | None:
    """A bundle's newest evaluation; None when it has none. `Refused` where that was changed."""
    digest, layout = _newest(project, bundle), project.layout
    return None if digest is None else _read(layout.evaluations, digest, layout.bundles / bundle)


def takes_long(project: Project, bundle: BundleId) -> bool:
    """Whether that is so large that reading it takes a second or more."""
    path = project.layout.evaluations / f"{_newest(project, bundle)}.json"
    return path.is_file() and path.stat().st_size > _QUICK


def _newest(project: Project, bundle: BundleId) -> str | None:
    found = latest(project, "evaluate", bundle=bundle)
    return None if found is None else str(found["evaluation"])


@lru_cache(maxsize=2)
def _read(folder: Path, digest: str, path: Path) -> Measured:
    # Both are named by what they hold: neither ever changes.
    evaluation = load(folder, digest)
    told = open_bundle(path).answers.tell(evaluation.values)
    answers = tuple(
        Answered(row, sample, label, str(answer.label), answer.confidence, float(quality))
        for row, (sample, label, answer, quality) in enumerate(
            zip(evaluation.samples, evaluation.labels, told, evaluation.qualities, strict=True)
        )
    )
    return Measured(
        evaluation.bundle, answers, {each.name: each.rows for each in evaluation.slices()}
    )
