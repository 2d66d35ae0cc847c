"""What the answers of people say of each other: agreement, gold questions, scores."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from everloop.evaluation.intervals import wilson
from everloop.ids import Json
from everloop.labelling.agreement import agree, fleiss_of, kappa_of
from everloop.labelling.quality_sums import Part
from everloop.labels import decode


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
class Adjudicated:
    """One answer to a sample of which somebody decided what its label is."""

    by: str
    label: str
    known: str | None
    """Of a gold question, the answer that was known before."""
    truth: str
    """What was decided."""


def judge(parts: Iterable[Part], adjudicated: Iterable[Adjudicated], same_object: float) -> Quality:
    """What is to be said of all answers, from the sums of their rounds.

    `adjudicated`: the answers to samples that an adjudicator decided; what they decided outranks
    what was known when a gold question was asked.
    """
    sums = Part()
    for part in parts:
        sums.add(part)
    checked, right, gold_right = sums.checked.copy(), sums.right.copy(), sums.right.total()
    for each in adjudicated:
        is_right = _same(each.label, each.truth, same_object)
        if each.known is None:
            checked[each.by] += 1
            right[each.by] += is_right
        else:
            change = is_right - _same(each.label, each.known, same_object)
            right[each.by] += change
            gold_right += change
    raters = max(sums.fleiss, key=lambda size: sums.fleiss[size].samples, default=0)
    most = sums.fleiss.get(raters)
    return Quality(
        answers=sums.answered.total(),
        overlapped=sums.overlapped,
        disputed=len(sums.disputed),
        likeness=_mean(sums.likeness, sums.compared),
        fleiss=math.nan if most is None else fleiss_of(most.samples, most.agreed, most.named),
        raters=raters,
        gold_asked=sums.checked.total(),
        gold_right=gold_right,
        pairs=tuple(
            Pair(*names, met.samples, met.agreed, met.likeness / met.samples, kappa_of(met.said))
            for names, met in sorted(sums.pairs.items())
        ),
        people=_scores(sums, checked, right),
    )


def _same(one: str, other: str, same_object: float) -> bool:
    return agree(decode(one), decode(other), same_object)


def _mean(total: float, count: int) -> float:
    return total / count if count else math.nan


def _scores(sums: Part, checked: Counter[str], right: Counter[str]) -> tuple[Score, ...]:
    shared, agreed = Counter[str](), Counter[str]()
    for names, met in sums.pairs.items():
        for name in names:
            shared[name] += met.samples
            agreed[name] += met.agreed
    found = [
        Score(
            name,
            sums.answered[name],
            sums.skipped[name],
            checked[name],
            right[name],
            shared[name],
            agreed[name],
        )
        for name in sums.answered | sums.skipped
    ]
    return tuple(sorted(found, key=lambda s: (math.isnan(s.score), s.score, s.name)))


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
