"""Two models on one hold-out, side by side: its slices, what is taken for what, and the samples
on which they part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from everloop.evaluation.evaluate import Evaluation
from everloop.evaluation.mistakes import confusion
from everloop.ids import SampleId
from everloop.loop.models import JudgedModel, evaluations_of
from everloop.loop.project import Project
from everloop_runtime.answers.kind import AnswerKind
from everloop_runtime.bundle import open_bundle

_SLICES, _MISTAKES, _SAMPLES = 40, 20, 12


@dataclass(frozen=True, slots=True)
class SliceBeside:
    """How good both are on a part of the hold-out."""

    name: str
    samples: int
    first: float
    second: float

    @property
    def difference(self) -> float:
        """By how much the second is better."""
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class MistakeBeside:
    """How often each takes `truth` for `answer`."""

    truth: str
    answer: str
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Parting:
    """A sample that they answer differently well."""

    sample: SampleId
    label: str
    first: str
    second: str
    difference: float
    """By how much the second's answer is better."""


@dataclass(frozen=True, slots=True)
class SideBySide:
    """The second of two bundles beside the first."""

    slices: tuple[SliceBeside, ...]
    """Where the second is worst beside the first, first."""
    mistakes: tuple[MistakeBeside, ...]
    """The most frequent first; nothing where answers are figures."""
    worse: tuple[Parting, ...]
    better: tuple[Parting, ...]
    """Samples that the second answers worse, and better, most so first."""

    @property
    def parted(self) -> tuple[SampleId, ...]:
        """All those samples."""
        return tuple(each.sample for each in (*self.worse, *self.better))


def side_by_side(project: Project, one: JudgedModel, two: JudgedModel) -> SideBySide | None:
    """The second beside the first; None where no hold-out has measured both."""
    found = evaluations_of(project, one, two)
    if found is None:
        return None
    first, second, _ = found
    kinds = [open_bundle(project.layout.bundles / m.bundle).answers for m in (one, two)]
    apart = sorted(_apart(first, second, kinds), key=lambda p: (p.difference, p.sample))
    return SideBySide(
        _slices(first, second),
        _mistakes(first, second, kinds),
        tuple(p for p in apart if p.difference < 0)[:_SAMPLES],
        tuple(p for p in reversed(apart) if p.difference > 0)[:_SAMPLES],
    )


def _slices(first: Evaluation, second: Evaluation) -> tuple[SliceBeside, ...]:
    before = {each.name: each.quality for each in first.slices()}
    found = [
        SliceBeside(each.name, len(each.rows), before[each.name], each.quality)
        for each in second.slices()
        if each.name in before
    ]
    return tuple(sorted(found, key=lambda each: (each.difference, each.name))[:_SLICES])


def _mistakes(
    first: Evaluation, second: Evaluation, kinds: Sequence[AnswerKind]
) -> tuple[MistakeBeside, ...]:
    counts = [
        {(taken.truth, taken.answer): taken.count for taken in confusion(evaluation, kind)}
        for evaluation, kind in zip((first, second), kinds, strict=True)
    ]
    wrong = {pair for each in counts for pair in each if pair[0] != pair[1]}
    found = [MistakeBeside(*pair, counts[0].get(pair, 0), counts[1].get(pair, 0)) for pair in wrong]
    ordered = sorted(found, key=lambda m: (-max(m.first, m.second), m.truth, m.answer))
    return tuple(ordered[:_MISTAKES])


def _apart(first: Evaluation, second: Evaluation, kinds: Sequence[AnswerKind]) -> list[Parting]:
    said = [
        [answer.label for answer in kind.tell(evaluation.values)]
        for evaluation, kind in zip((first, second), kinds, strict=True)
    ]
    before: Mapping[SampleId, int] = {sample: row for row, sample in enumerate(first.samples)}
    found = []
    for row, sample in enumerate(second.samples):
        place = before.get(sample)
        if place is None:
            continue
        difference = float(second.qualities[row] - first.qualities[place])
        if difference:
            answers = (said[0][place], said[1][row])
            found.append(Parting(sample, second.labels[row], *answers, difference))
    return found
