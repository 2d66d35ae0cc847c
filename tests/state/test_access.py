"""Tokens and sessions: hashes only, ends that are ends, and a first token that works once."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.clock import at

from everloop.errors import Conflict, Refused
from everloop.state.access import Access, Role
from everloop.state.database import Database

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def _token(access: Access, role: Role = "viewer", **more: bool) -> str:
    return access.make("ann", role, by="test", now=at(0), lasts=DAY, **more)[1]


def test_neither_tokens_nor_sessions_are_stored_as_they_are(
    tmp_path: Path, database: Database
) -> None:
    access = Access(database)
    text = _token(access)
    _, secret = access.enter(text, at(1), HOUR)
    database.checkpoint()
    stored = (tmp_path / "state.db").read_bytes()
    assert text.encode() not in stored and secret.encode() not in stored


def test_a_session_ends_by_time_by_leaving_and_with_its_token(database: Database) -> None:
    access = Access(database)
    text = _token(access)
    person, secret = access.enter(text, at(1), HOUR)
    assert access.of_session(secret, at(2)) == person
    assert access.of_session(secret, at(3602)) is None
    access.leave(secret, at(3))
    assert access.of_session(secret, at(4)) is None
    _, again = access.enter(text, at(5), HOUR)
    access.revoke(person.token, at(6))
    assert access.of_session(again, at(7)) is None
    assert access.of_token(text, at(7)) is None
    with pytest.raises(Refused, match="not known here, is spent or has expired"):
        access.enter(text, at(7), HOUR)
    with pytest.raises(Conflict, match="revoked already"):
        access.revoke(person.token, at(8))
    assert access.forget_ended(at(9)) == 2


def test_a_session_lasts_no_longer_than_the_token_that_opened_it(database: Database) -> None:
    access = Access(database)
    text = _token(access)
    late = at(0) + DAY - timedelta(minutes=1)
    _, secret = access.enter(text, late, HOUR)
    assert access.of_session(secret, late) is not None
    assert access.of_session(secret, at(0) + DAY) is None


def test_a_one_time_token_opens_one_session_and_is_no_programs(database: Database) -> None:
    access = Access(database)
    text = _token(access, "administrator", once=True)
    assert access.of_token(text, at(1)) is None
    access.enter(text, at(1), HOUR)
    with pytest.raises(Refused):
        access.enter(text, at(2), HOUR)


def test_the_first_token_is_made_anew_until_somebody_was_let_in(database: Database) -> None:
    access = Access(database)
    first, second = access.first(at(0), DAY), access.first(at(1), DAY)
    assert first and second and first != second
    with pytest.raises(Refused):
        access.enter(first, at(2), HOUR)
    person, _ = access.enter(second, at(2), HOUR)
    assert person.role == "administrator"
    assert access.first(at(3), DAY) is None


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\nb"])
def test_a_name_that_would_spoil_a_record_is_refused(name: str, database: Database) -> None:
    with pytest.raises(Refused, match="is no name"):
        Access(database).make(name, "viewer", by="test", now=at(0), lasts=DAY)


def test_whom_a_provider_knows_is_the_same_person_under_another_name(database: Database) -> None:
    access = Access(database)

    def come(subject: str, name: str, when: float) -> str:
        person, _ = access.let_in(name, "approver", subject=subject, now=at(when), lasts=DAY)
        return person.name

    assert come("1", "ann", 1) == "ann"
    assert come("1", "ann the second", 2) == "ann", "four eyes do not fall for a new name"
    other = come("2", "ann", 3)
    assert other.startswith("ann (") and come("2", "ann", 4) == other
    assert come("3", "ann", 5) not in ("ann", other)
    assert len(come("4", "x" * 60, 6)) == len(come("5", "x" * 60, 7)) == 60
    # What an administrator made in that name is hers: she does not become two people by it.
    access.make("bob", "viewer", by="admin", now=at(8), lasts=DAY)
    assert come("6", "bob", 9) == "bob"


def test_a_programs_token_opens_no_session(database: Database) -> None:
    access = Access(database)
    text = _token(access, "hook")
    with pytest.raises(Refused, match="not known"):
        access.enter(text, at(1), HOUR)
    known = access.of_token(text, at(1))
    assert known is not None and known.role == "hook"
