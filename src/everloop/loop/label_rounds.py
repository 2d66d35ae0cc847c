"""What the answers of each round add up to, looked at anew where something changed."""

from collections.abc import Mapping
from weakref import WeakKeyDictionary

from everloop.labelling.quality_sums import Part, part_of
from everloop.loop.project import Project
from everloop.state.answer_rounds import AnswerRounds, Mark

_KNOWN: WeakKeyDictionary[AnswerRounds, dict[str, tuple[Mark, float, Part]]] = WeakKeyDictionary()
"""The sums of each round, with its mark and the policy's `same_object` when they were made: old
rounds hardly change, and a page that is looked at again need not read a million answers."""


def parts_of(project: Project) -> Mapping[str, Part]:
    """The sums of each round in which something was answered or skipped."""
    same_object = project.policy.labelling.same_object
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
