"""What people answered of candidates, question by question, each answer signed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, get_args

from sqlalchemy import insert, select

from everloop.errors import Refused
from everloop.ids import BundleId
from everloop.state.database import Database
from everloop.state.tables import checklist_answers

Said: TypeAlias = Literal["yes", "no", "not-applicable"]
SAID: tuple[Said, ...] = get_args(Said)


@dataclass(frozen=True, slots=True)
class ChecklistAnswer:
    """One answer; the latest to a question stands, all of them are kept."""

    question: str
    """As it was asked: a question that is worded anew is asked anew."""
    answer: Said
    comment: str
    by: str
    at: datetime


class Checklists:
    """Answers, append-only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, bundle: BundleId, answers: list[ChecklistAnswer]) -> None:
        """Add answers, all or none. Raises `Refused` when one is not signed, or says that a
        question does not apply without saying why."""
        for each in answers:
            if not each.by.strip():
                raise Refused("an answer is signed by somebody: name yourself")
            if each.answer == "not-applicable" and not each.comment.strip():
                raise Refused(f"say why this does not apply: {each.question!r}")
        if not answers:
            return
        rows = [
            {"bundle": bundle, "question": each.question, "answer": each.answer,
             "comment": each.comment, "by": each.by, "at": each.at}
            for each in answers
        ]  # fmt: skip
        with self._database.write() as connection:
            connection.execute(insert(checklist_answers), rows)

    def of(self, bundle: BundleId) -> Mapping[str, ChecklistAnswer]:
        """The standing answers about a bundle, by question."""
        return self.all().get(bundle, {})

    def all(self) -> Mapping[BundleId, Mapping[str, ChecklistAnswer]]:
        """The standing answers about each bundle."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(checklist_answers).order_by(checklist_answers.c.id)
            ).all()
        found: dict[BundleId, dict[str, ChecklistAnswer]] = {}
        for row in rows:
            answer = ChecklistAnswer(row.question, row.answer, row.comment, row.by, row.at)
            found.setdefault(BundleId(row.bundle), {})[row.question] = answer
        return found


def open_questions(
    questions: Mapping[str, str], answers: Mapping[str, ChecklistAnswer]
) -> tuple[list[str], list[str]]:
    """The names of the questions that nobody has answered, and of those answered with no."""
    missing = [name for name, text in questions.items() if text not in answers]
    refused = [
        name for name, text in questions.items() if text in answers and answers[text].answer == "no"
    ]
    return missing, refused
