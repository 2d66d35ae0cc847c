"""Answers to the checklist are signed, kept, and belong to the question as it was asked."""

import pytest
from tests.support.clock import START

from everloop.errors import Refused
from everloop.ids import BundleId
from everloop.state.checklists import ChecklistAnswer, Checklists, Said, open_questions
from everloop.state.database import Database

BUNDLE = BundleId("b" * 64)
ASKED = {"groups": "Was each group looked at?", "use": "Is the use still the same?"}


def _said(name: str, answer: Said, by: str = "ann", comment: str = "") -> ChecklistAnswer:
    return ChecklistAnswer(ASKED[name], answer, comment, by, START)


def test_the_latest_answer_stands_and_is_of_one_bundle(database: Database) -> None:
    lists = Checklists(database)
    lists.record(BUNDLE, [_said("groups", "no"), _said("use", "yes")])
    lists.record(BUNDLE, [_said("groups", "yes", by="bo")])
    assert lists.of(BUNDLE)[ASKED["groups"]].by == "bo"
    assert lists.of(BUNDLE)[ASKED["use"]].at == START
    assert lists.of(BundleId("c" * 64)) == {}
    assert open_questions(ASKED, lists.of(BUNDLE)) == ([], [])


def test_a_question_worded_anew_is_open_again(database: Database) -> None:
    lists = Checklists(database)
    lists.record(BUNDLE, [_said("groups", "yes"), _said("use", "no")])
    anew = {**ASKED, "groups": "Was each group, children too, looked at?"}
    assert open_questions(anew, lists.of(BUNDLE)) == (["groups"], ["use"])


def test_nobody_signs_for_nobody(database: Database) -> None:
    lists = Checklists(database)
    with pytest.raises(Refused, match="signed by somebody"):
        lists.record(BUNDLE, [_said("groups", "yes"), _said("use", "yes", by=" ")])
    with pytest.raises(Refused, match="say why this does not apply"):
        lists.record(BUNDLE, [_said("use", "not-applicable")])
    assert lists.all() == {}, "all or none"
    lists.record(BUNDLE, [_said("use", "not-applicable", comment="no people in it")])
    assert open_questions(ASKED, lists.of(BUNDLE)) == (["groups"], [])
