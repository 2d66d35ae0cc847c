"""Samples of which people say different things."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from operator import attrgetter

from everloop.ids import SampleId
from everloop.labelling.agreement import agree
from everloop.labels import decode
from everloop.state.label_answers import Given


@dataclass(frozen=True, slots=True)
class Dispute:
    """One sample of which people said different things in one round."""

    sample: SampleId
    round: str
    answers: tuple[Given, ...]
    """In the order they were given."""


def disputes(answers: Sequence[Given], same_object: float) -> tuple[Dispute, ...]:
    """The samples on which any two people disagree, in the order they were first answered.

    Gold questions and skipped tasks are passed over.
    """
    key = attrgetter("round", "sample")
    mine = sorted((a for a in answers if a.known is None and a.label is not None), key=key)
    groups = [tuple(sorted(told, key=attrgetter("at"))) for _, told in groupby(mine, key)]
    found = [
        Dispute(told[0].sample, told[0].round, told)
        for told in groups
        if _is_disputed([given.label or "" for given in told], same_object)
    ]
    return tuple(sorted(found, key=lambda dispute: dispute.answers[0].at))


def _is_disputed(told: Sequence[str], same_object: float) -> bool:
    pairs = combinations(map(decode, dict.fromkeys(told)), 2)
    return any(not agree(one, other, same_object) for one, other in pairs)
