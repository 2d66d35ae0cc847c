"""The qualitative checklist: what people are asked of each candidate, and what they said."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from everloop.errors import Refused
from everloop.ids import BundleId, Json
from everloop.loop.cards import write_card
from everloop.loop.project import Project
from everloop.state.checklists import SAID, ChecklistAnswer, open_questions


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of the policy and the answer that stands."""

    name: str
    question: str
    answer: str | None
    comment: str
    by: str
    at: str

    def as_json(self) -> dict[str, Json]:
        """All fields by name."""
        return asdict(self)


def asked(project: Project, bundle: BundleId) -> list[Asked]:
    """Every question of the policy, in its order."""
    given = project.checklists.of(bundle)
    found = []
    for name, question in project.policy.approval.checklist.items():
        said = given.get(question)
        if said is None:
            found.append(Asked(name, question, None, "", "", ""))
        else:
            at = said.at.isoformat()[:19]
            found.append(Asked(name, question, said.answer, said.comment, said.by, at))
    return found


def answer(
    project: Project,
    bundle: BundleId,
    answers: Sequence[str],
    *,
    comment: str,
    by: str,
    now: datetime,
) -> None:
    """Sign answers such as `groups=yes`, and write them on the card.

    Raises `Refused` for a question that is not asked and for an answer that is none.
    """
    questions = project.policy.approval.checklist
    found = []
    for text in answers:
        name, _, said = text.partition("=")
        if name not in questions:
            told = ", ".join(questions) or "nothing"
            raise Refused(f"there is no question {name!r}; [approval] checklist asks {told}")
        known = next((each for each in SAID if each == said.strip().lower()), None)
        if known is None:
            raise Refused(f"{name} is answered with {', '.join(SAID)}; got {said!r}")
        found.append(ChecklistAnswer(questions[name], known, comment, by, now))
    project.checklists.record(bundle, found)
    if (project.layout.cards / f"{bundle}.md").exists():
        write_card(project, bundle)


def check_answered(project: Project, bundle: BundleId) -> None:
    """Raise `Refused` while the checklist keeps a bundle from being approved."""
    missing, refused = open_questions(
        project.policy.approval.checklist, project.checklists.of(bundle)
    )
    if refused:
        raise Refused(f"the checklist of bundle {bundle[:8]} says no to {', '.join(refused)}")
    if missing:
        raise Refused(
            f"bundle {bundle[:8]} waits for its checklist: {', '.join(missing)}; "
            f"everloop models checklist {bundle[:8]} --answer NAME=yes"
        )
