"""How far people agree and how well they label: looked at anew where something changed."""

from collections.abc import Iterator
from weakref import WeakKeyDictionary

from everloop.labelling.quality import Adjudicated, Quality, judge
from everloop.labelling.quality_sums import Part, part_of
from everloop.loop.project import Project
from everloop.loop.review import decisions
from everloop.state.answer_rounds import AnswerRounds, Mark

_KNOWN: WeakKeyDictionary[AnswerRounds, dict[str, tuple[Mark, float, Part]]] = WeakKeyDictionary()
"""The sums of each round, with its mark and the policy's `same_object` when they were made: old
rounds hardly change, and a page that is looked at again need not read a million answers."""


def quality_of(project: Project, round: str | None = None) -> Quality:  # noqa: A002 - the noun
    """How far people agree and how well they label, in one round or in all."""
    same_object = project.policy.labelling.same_object
    parts = _parts(project, same_object)
    mine = parts.values() if round is None else [parts[round]] if round in parts else []
    return judge(mine, _adjudicated(project, round), same_object)


def _parts(project: Project, same_object: float) -> dict[str, Part]:
    rounds = project.answer_rounds
    known = _KNOWN.setdefault(rounds, {})
    marks = rounds.marks()
    changed = [n for n in marks if known.get(n, (None, None))[:2] != (marks[n], same_object)]
    # What a mark tells was there when the answers are read; what comes between is read twice.
    for name, said in rounds.said(changed):
        known[name] = marks[name], same_object, part_of(said, same_object)
    for name in known.keys() - marks.keys():
        del known[name]
    return {name: part for name, (_, _, part) in known.items()}


def _adjudicated(project: Project, round: str | None) -> Iterator[Adjudicated]:  # noqa: A002
    decided = decisions(project)
    if not decided:
        return
    for each in project.answer_rounds.of_resolved(round):
        if each.sample in decided and each.label is not None:
            yield Adjudicated(each.by, each.label, each.known, decided[each.sample].label)
