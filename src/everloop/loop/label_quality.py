"""How far people agree and how well they label."""

from collections.abc import Iterator

from everloop.labelling.quality import Adjudicated, Quality, judge
from everloop.loop.label_rounds import parts_of
from everloop.loop.project import Project
from everloop.loop.review import decisions


def quality_of(project: Project, round: str | None = None) -> Quality:  # noqa: A002 - the noun
    """How far people agree and how well they label, in one round or in all."""
    parts, same_object = parts_of(project), project.policy.labelling.same_object
    mine = parts.values() if round is None else [parts[round]] if round in parts else []
    return judge(mine, _adjudicated(project, round), same_object)


def _adjudicated(project: Project, round: str | None) -> Iterator[Adjudicated]:  # noqa: A002
    decided = decisions(project)
    if not decided:
        return
    for each in project.answer_rounds.of_resolved(round):
        if each.sample in decided and each.label is not None:
            yield Adjudicated(each.by, each.label, each.known, decided[each.sample].label)
