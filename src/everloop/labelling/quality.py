"""What the answers of people say of each other: agreement, gold questions, scores."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from operator import attrgetter

from everloop.evaluation.intervals import wilson
from everloop.ids import Json, SampleId
from everloop.labelling.agreement import agree, cohen_kappa, fleiss_kappa, likeness
from everloop.labels import ClassLabel, Label, decode
from everloop.state.label_answers import Given


@dataclass(frozen=True, slots=True)
class Pair:
    """Two people who answered the same samples."""

    first: str
    second: str
    samples: int
    agreed: int
    likeness: float
    """Mean over the samples; of boxes, their overlaps."""
    kappa: float
    """Cohen's; NaN where labels are not one class each, or chance alone explains them."""


@dataclass(frozen=True, slots=True)
class Score:
    """One person's answers."""

    name: str
    answers: int
    skipped: int
    checked: int
    """Answers of which the truth is known: gold questions, and what was adjudicated."""
    right: int
    shared: int
    """Comparisons with another person's answer to the same sample."""
    agreed: int

    @property
    def score(self) -> float:
        """The share of right answers among the checked; NaN without one."""
        return self.right / self.checked if self.checked else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of it (Wilson 1927)."""
        return wilson(self.right, self.checked)

    def as_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "name": self.name,
            "answers": self.answers,
            "skipped": self.skipped,
            "checked": self.checked,
            "right": self.right,
            "score": _or_none(self.score),
            "interval": list(self.interval) if self.checked else None,
            "shared": self.shared,
            "agreed": self.agreed,
        }


@dataclass(frozen=True, slots=True)
class Quality:
    """All of it."""

    answers: int
    overlapped: int
    """Samples that several people answered."""
    disputed: int
    """Of those, the ones on which somebody disagrees."""
    likeness: float
    """Mean likeness of two answers to one sample; NaN without any."""
    fleiss: float
    """Fleiss' kappa over the samples that `raters` people answered each; NaN without any."""
    raters: int
    gold_asked: int
    gold_right: int
    pairs: tuple[Pair, ...]
    people: tuple[Score, ...]
    """Those with the lowest scores first; those whose answers nobody could check last."""

    def as_json(self) -> dict[str, Json]:
        """All of it by name; what is no number is null."""
        return {
            "answers": self.answers,
            "overlapped": self.overlapped,
            "disputed": self.disputed,
            "likeness": _or_none(self.likeness),
            "fleiss_kappa": _or_none(self.fleiss),
            "raters": self.raters,
            "gold": {"asked": self.gold_asked, "right": self.gold_right},
            "pairs": [
                {
                    "first": p.first,
                    "second": p.second,
                    "samples": p.samples,
                    "agreed": p.agreed,
                    "likeness": _or_none(p.likeness),
                    "cohen_kappa": _or_none(p.kappa),
                }
                for p in self.pairs
            ],
            "people": [person.as_json() for person in self.people],
        }


@dataclass(frozen=True, slots=True)
class Dispute:
    """One sample of which people said different things in one round."""

    sample: SampleId
    round: str
    answers: tuple[Given, ...]
    """In the order they were given."""


def disputes(answers: Sequence[Given], same_object: float) -> tuple[Dispute, ...]:
    """The samples on which any two people disagree, in the order they were first answered."""
    return tuple(
        Dispute(told[0].sample, told[0].round, told)
        for told in _together(answers)
        if _is_disputed(told, same_object)
    )


def _is_disputed(told: Sequence[Given], same_object: float) -> bool:
    pairs = combinations(told, 2)
    return any(not agree(_label(a), _label(b), same_object) for a, b in pairs)


def judge(
    said: Sequence[Given],
    resolved: Mapping[SampleId, str],
    same_object: float,
    *,
    tally: Mapping[str, tuple[int, int]],
) -> Quality:
    """What is to be said of answers: those of which the truth or another's answer is known.

    `resolved`: the label that was adjudicated, by sample; `tally`: how many tasks each person
    answered and skipped in all.
    """
    together = _together(said)
    alike = [
        likeness(_label(a), _label(b), same_object)
        for told in together
        for a, b in combinations(told, 2)
    ]
    gold = [given for given in said if given.known is not None]
    raters, fleiss = _fleiss(together)
    return Quality(
        answers=sum(answered for answered, _ in tally.values()),
        overlapped=len(together),
        disputed=sum(_is_disputed(told, same_object) for told in together),
        likeness=sum(alike) / len(alike) if alike else math.nan,
        fleiss=fleiss,
        raters=raters,
        gold_asked=len(gold),
        gold_right=sum(_is_right(given, resolved, same_object) is True for given in gold),
        pairs=_pairs(together, same_object),
        people=_scores(said, together, resolved, same_object, tally),
    )


def _together(answers: Sequence[Given]) -> list[tuple[Given, ...]]:
    """Answers to the same sample in the same round, where there are several; no gold questions."""
    key = attrgetter("round", "sample")
    mine = sorted((a for a in answers if a.known is None and a.label is not None), key=key)
    groups = [tuple(sorted(told, key=attrgetter("at"))) for _, told in groupby(mine, key)]
    return sorted((told for told in groups if len(told) > 1), key=lambda told: told[0].at)


def _fleiss(together: Sequence[Sequence[Given]]) -> tuple[int, float]:
    """How many people most of the samples have, and Fleiss' kappa of those."""
    told = [[g.label or "" for g in group] for group in together if _are_classes(group)]
    if not told:
        return 0, math.nan
    raters = Counter(map(len, told)).most_common(1)[0][0]
    return raters, fleiss_kappa([labels for labels in told if len(labels) == raters])


def _pairs(together: Sequence[Sequence[Given]], same_object: float) -> tuple[Pair, ...]:
    both: dict[tuple[str, str], list[tuple[Given, Given]]] = defaultdict(list)
    for told in together:
        for a, b in combinations(sorted(told, key=attrgetter("by")), 2):
            both[a.by, b.by].append((a, b))
    found = []
    for (first, second), met in sorted(both.items()):
        alike = [likeness(_label(a), _label(b), same_object) for a, b in met]
        agreed = sum(agree(_label(a), _label(b), same_object) for a, b in met)
        classes = [(a.label or "", b.label or "") for a, b in met if _are_classes((a, b))]
        kappa = cohen_kappa([a for a, _ in classes], [b for _, b in classes])
        found.append(Pair(first, second, len(met), agreed, sum(alike) / len(alike), kappa))
    return tuple(found)


def _scores(
    said: Sequence[Given],
    together: Sequence[Sequence[Given]],
    resolved: Mapping[SampleId, str],
    same_object: float,
    tally: Mapping[str, tuple[int, int]],
) -> tuple[Score, ...]:
    shared, agreed = Counter[str](), Counter[str]()
    for told in together:
        for a, b in combinations(told, 2):
            shared.update((a.by, b.by))
            if agree(_label(a), _label(b), same_object):
                agreed.update((a.by, b.by))
    found = []
    for name, (answered, skipped) in sorted(tally.items()):
        mine = [given for given in said if given.by == name]
        checks = [_is_right(given, resolved, same_object) for given in mine]
        found.append(
            Score(
                name,
                answered,
                skipped,
                sum(check is not None for check in checks),
                sum(check is True for check in checks),
                shared[name],
                agreed[name],
            )
        )
    return tuple(sorted(found, key=lambda s: (math.isnan(s.score), s.score, s.name)))


def _is_right(given: Given, resolved: Mapping[SampleId, str], same_object: float) -> bool | None:
    """Whether an answer is right; None where nobody knows."""
    # What was adjudicated later outranks what was known when the question was asked.
    truth = resolved.get(given.sample, given.known)
    return None if truth is None else agree(_label(given), decode(truth), same_object)


def _label(given: Given) -> Label:
    return decode(given.label or "")


def _are_classes(told: Sequence[Given]) -> bool:
    return all(isinstance(_label(given), ClassLabel) for given in told)


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
