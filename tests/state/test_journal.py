"""The journal: one row a key, and the first final outcome stands."""

from datetime import timedelta

import pytest
from tests.support.clock import at

from everloop.action import Action, Outcome
from everloop.errors import Conflict
from everloop.state.database import Database
from everloop.state.journal import Journal
from everloop.state.lease import Fence

ACTION = Action("train", {"snapshot": "s", "params": {"epochs": 3}})


def test_intended_twice_it_is_one_entry_with_its_first_reason(
    database: Database, fence: Fence
) -> None:
    journal = Journal(database)
    journal.intend(ACTION, "learn", "first", fence, at(0))
    entry = journal.intend(ACTION, "learn", "second", fence, at(9))
    assert (entry.reason, entry.intended_at) == ("first", at(0))
    assert list(journal.unfinished()) == [ACTION.key]


def test_the_first_final_outcome_stands(database: Database, fence: Fence) -> None:
    journal = Journal(database)
    journal.intend(ACTION, "learn", "why", fence, at(0))
    journal.finish(ACTION.key, Outcome(final=True, result={"bundle": "b"}), fence, at(1))
    journal.finish(ACTION.key, Outcome(final=True, error="late"), fence, at(2))
    entry = journal.entry(ACTION.key)
    assert entry is not None
    assert entry.outcome == Outcome(final=True, result={"bundle": "b"})
    assert entry.finished_at == at(1)
    assert entry.action == ACTION
    assert journal.unfinished() == {}


def test_failures_are_counted_and_put_off(database: Database, fence: Fence) -> None:
    journal = Journal(database)
    journal.intend(ACTION, "learn", "why", fence, at(0))
    again = Outcome(final=False, delay=timedelta(seconds=5), error="busy")
    for second in (1, 2):
        journal.finish(ACTION.key, again, fence, at(second))
    still = Outcome(final=False, delay=timedelta(seconds=1))
    journal.finish(ACTION.key, still, fence, at(3))
    entry = journal.entry(ACTION.key)
    assert entry is not None
    assert (entry.failures, entry.not_before, entry.outcome) == (2, at(4), still)


def test_what_was_never_intended_cannot_end(database: Database, fence: Fence) -> None:
    with pytest.raises(Conflict, match="never intended"):
        Journal(database).finish(ACTION.key, Outcome(final=True), fence, at(0))


def test_the_same_inputs_in_another_order_are_the_same_key() -> None:
    assert Action("x", {"a": 1, "b": {"c": 2.0, "d": None}}).key == (
        Action("x", {"b": {"d": None, "c": 2.0}, "a": 1}).key
    )
    assert Action("x", {"a": 1}).key != Action("y", {"a": 1}).key
