"""What the answers of one round add to what is said of all: sums, so that only rounds in which
something changed are looked at again."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations, groupby
from operator import attrgetter

from everloop.ids import SampleId
from everloop.labelling.agreement import agree, agreeing_part, likeness
from everloop.labels import ClassLabel, Label, decode
from everloop.state.answer_rounds import Said


@dataclass(slots=True)
class Met:
    """How two people answered the samples that both did."""

    samples: int = 0
    agreed: int = 0
    likeness: float = 0.0
    said: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often they said this and that, where labels are one class each."""

    def add(self, other: "Met") -> None:
        """Count what another one counted, too."""
        self.samples += other.samples
        self.agreed += other.agreed
        self.likeness += other.likeness
        self.said.update(other.said)


@dataclass(slots=True)
class Together:
    """Samples that the same number of people answered with one class each."""

    samples: int = 0
    agreed: float = 0.0
    named: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Together") -> None:
        """Count what another one counted, too."""
        self.samples += other.samples
        self.agreed += other.agreed
        self.named.update(other.named)


@dataclass(slots=True)
class Part:
    """The sums of some answers."""

    answered: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)
    """Gold questions, by who was asked."""
    right: Counter[str] = field(default_factory=Counter)
    overlapped: int = 0
    disputed: list[SampleId] = field(default_factory=list)
    """The samples on which somebody disagrees."""
    compared: int = 0
    likeness: float = 0.0
    pairs: dict[tuple[str, str], Met] = field(default_factory=dict)
    fleiss: dict[int, Together] = field(default_factory=dict)
    """By how many people answered each."""

    def add(self, other: "Part") -> None:
        """Count what another one counted, too; that one stays as it is."""
        for mine, theirs in (
            (self.answered, other.answered),
            (self.skipped, other.skipped),
            (self.checked, other.checked),
            (self.right, other.right),
        ):
            mine.update(theirs)
        self.overlapped += other.overlapped
        self.disputed.extend(other.disputed)
        self.compared += other.compared
        self.likeness += other.likeness
        for names, met in other.pairs.items():
            self.pairs.setdefault(names, Met()).add(met)
        for size, together in other.fleiss.items():
            self.fleiss.setdefault(size, Together()).add(together)


def part_of(said: Iterable[Said], same_object: float) -> Part:
    """The sums of one round; answers to one sample lie side by side."""
    part = Part()
    for sample, group in groupby(said, attrgetter("sample")):
        told = list[tuple[str, str]]()
        for each in group:
            if each.label is None:
                part.skipped[each.by] += 1
                continue
            part.answered[each.by] += 1
            if each.known is None:
                told.append((each.by, each.label))
            else:
                part.checked[each.by] += 1
                part.right[each.by] += _compare(each.label, each.known, same_object)[0]
        if len(told) > 1 and _add_overlap(part, sorted(told), same_object):
            part.disputed.append(sample)
    return part


def _add_overlap(part: Part, told: Sequence[tuple[str, str]], same_object: float) -> bool:
    """One sample that several answered: who, and what, in the order of their names. Whether they
    disagree."""
    differ = False
    for (first, one), (second, other) in combinations(told, 2):
        agreed, alike = _compare(one, other, same_object)
        differ |= not agreed
        part.compared += 1
        part.likeness += alike
        met = part.pairs.setdefault((first, second), Met())
        met.samples += 1
        met.agreed += agreed
        met.likeness += alike
        if _is_class(one) and _is_class(other):
            met.said[one, other] += 1
    part.overlapped += 1
    labels = [label for _, label in told]
    if all(map(_is_class, labels)):
        together = part.fleiss.setdefault(len(labels), Together())
        together.samples += 1
        together.agreed += agreeing_part(labels)
        together.named.update(labels)
    return differ


def _compare(one: str, other: str, same_object: float) -> tuple[bool, float]:
    """Whether two texts say the same, and how alike they are."""
    if _is_class(one) and _is_class(other):
        return one == other, float(one == other)
    first, second = _decoded(one), _decoded(other)
    return agree(first, second, same_object), likeness(first, second, same_object)


def _is_class(text: str) -> bool:
    # Whatever else a label is, is written as JSON; so is a class whose name begins like that.
    return not text.startswith("{") or isinstance(_decoded(text), ClassLabel)


@lru_cache(1024)
def _decoded(text: str) -> Label:
    return decode(text)
