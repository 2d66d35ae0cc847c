"""How far people who looked at the same sample say the same.

A share of agreement alone flatters whoever always says the commonest class; kappa takes out what
chance would do too: 1 is full agreement, 0 what chance would give, below 0 less than that.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from everloop.labels import Box, BoxesLabel, ClassesLabel, Label, decode


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """Agreement of two people beyond chance (Cohen 1960); NaN where chance alone explains all.

    `first` and `second`: what each said of the same samples, in the same order.

    >>> round(cohen_kappa(["a", "a", "b", "b"], ["a", "a", "b", "a"]), 2)
    0.5
    """
    return kappa_of(Counter(zip(first, second, strict=True)))


def kappa_of(both: Mapping[tuple[str, str], int]) -> float:
    """The same, from how often the two said this and that of one sample."""
    count = sum(both.values())
    if not count:
        return math.nan
    observed = sum(times for (one, other), times in both.items() if one == other) / count
    mine, theirs = Counter[str](), Counter[str]()
    for (one, other), times in both.items():
        mine[one] += times
        theirs[other] += times
    expected = sum(mine[name] * theirs[name] for name in mine) / count**2
    return math.nan if expected == 1 else (observed - expected) / (1 - expected)


def fleiss_kappa(answers: Sequence[Sequence[str]]) -> float:
    """Agreement of any number of people beyond chance (Fleiss 1971); NaN where it has none.

    `answers`: what was said of each sample, by the same number of people of each, two or more; it
    need not be the same people.
    """
    if not answers:
        return math.nan
    raters = len(answers[0])
    if raters < 2 or any(len(said) != raters for said in answers):
        raise ValueError("Fleiss' kappa wants the same number of answers, at least 2, of each")
    agreed = sum(agreeing_part(said) for said in answers)
    return fleiss_of(len(answers), agreed, Counter(name for said in answers for name in said))


def agreeing_part(said: Sequence[str]) -> float:
    """The part of the pairs among some answers to one sample, two or more, that are the same.

    >>> agreeing_part(["a", "a", "b"])
    0.3333333333333333
    """
    same = sum(n * (n - 1) for n in Counter(said).values())
    return same / (len(said) * (len(said) - 1))


def fleiss_of(samples: int, agreed: float, named: Mapping[str, int]) -> float:
    """Fleiss' kappa from sums over samples that the same number of people answered each.

    `agreed`: the sum of their agreeing parts; `named`: how often each label was given.
    """
    if not samples:
        return math.nan
    count = sum(named.values())
    observed, expected = agreed / samples, sum((n / count) ** 2 for n in named.values())
    return math.nan if expected == 1 else (observed - expected) / (1 - expected)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, whatever their classes.

    >>> overlap(Box("a", 0, 0, 2, 1), Box("a", 1, 0, 3, 1))
    0.3333333333333333
    """
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    return both / (_area(one) + _area(other) - both)


def _area(box: Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)


def paired(one: Sequence[Box], other: Sequence[Box], least: float) -> list[float]:
    """The overlaps of boxes that stand for the same object: of one class, each in one pair, with
    the largest overlaps first, and `least` at least."""
    near = sorted(
        (
            (overlap(a, b), i, j)
            for i, a in enumerate(one)
            for j, b in enumerate(other)
            if a.label == b.label
        ),
        reverse=True,
    )
    mine, theirs, found = set[int](), set[int](), []
    for share, i, j in near:
        if share >= least and share > 0 and i not in mine and j not in theirs:
            mine.add(i)
            theirs.add(j)
            found.append(share)
    return found


def likeness(one: Label, other: Label, same_object: float) -> float:
    """How alike two answers are, from 0 to 1.

    Any number of classes: the shared part of them (Jaccard). Boxes: the overlaps of those that
    stand for the same object, over all objects that either drew. Everything else: 1 or 0.
    """
    if isinstance(one, BoxesLabel) and isinstance(other, BoxesLabel):
        pairs = paired(one.boxes, other.boxes, same_object)
        objects = len(one.boxes) + len(other.boxes) - len(pairs)
        return sum(pairs) / objects if objects else 1.0
    if isinstance(one, ClassesLabel) and isinstance(other, ClassesLabel):
        either = set(one.names) | set(other.names)
        return len(set(one.names) & set(other.names)) / len(either) if either else 1.0
    return float(one == other)


def agree(one: Label, other: Label, same_object: float) -> bool:
    """Whether two answers say the same; of boxes, whether each has its counterpart."""
    if isinstance(one, BoxesLabel) and isinstance(other, BoxesLabel):
        if len(one.boxes) != len(other.boxes):
            return False
        return len(paired(one.boxes, other.boxes, same_object)) == len(one.boxes)
    if isinstance(one, ClassesLabel) and isinstance(other, ClassesLabel):
        return set(one.names) == set(other.names)
    return one == other


def agreeing(said: Iterable[tuple[str, str]], same_object: float) -> int:
    """Of pairs of labels, as texts, how many say the same.

    >>> agreeing([("cat", "cat"), ("cat", "dog")], 0.5)
    1
    """
    return sum(agree(decode(one), decode(other), same_object) for one, other in said)
