"""The audit log: it grows, and whoever changes it is found out."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from tests.support.clock import at

from everloop.errors import Refused
from everloop.state.audit import Audit
from everloop.state.database import Database


def test_each_entry_seals_the_one_before(database: Database) -> None:
    audit = Audit(database)
    first = audit.append("forget", "ann", {"n": 1, "text": "ä"}, at(0.000001))
    second = audit.append("other", "bob", {}, at(1))
    assert [entry.number for entry in audit.entries()] == [1, 2]
    assert audit.entries("forget") == [first]
    assert first.seal != second.seal
    Audit(database).check()


def test_what_is_written_cannot_be_changed_by_a_slip(database: Database) -> None:
    Audit(database).append("forget", "ann", {}, at(0))
    for statement in ("UPDATE audit SET by = 'x'", "DELETE FROM audit"):
        with pytest.raises(IntegrityError, match="only grows"), database.write() as connection:
            connection.execute(text(statement))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET told = '{}' WHERE number = 2",
        "UPDATE audit SET at = at + 1 WHERE number = 2",
        "DELETE FROM audit WHERE number = 2",
        "UPDATE audit SET number = number + 5 WHERE number > 1",
    ],
)
def test_a_change_on_purpose_breaks_the_seals(change: str, database: Database) -> None:
    audit = Audit(database)
    for number in range(4):
        audit.append("forget", "ann", {"number": number}, at(number))
    with database.write() as connection:
        for trigger in ("audit_stays_at_update", "audit_stays_at_delete"):
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        connection.execute(text(change))
    with pytest.raises(Refused, match="was changed"):
        audit.check()


def test_of_a_long_log_the_newest_are_looked_at_by_themselves(database: Database) -> None:
    audit = Audit(database)
    for number in range(5):
        audit.append("forget", "ann", {"number": number}, at(number))
    assert [entry.number for entry in audit.newest(2)] == [5, 4]
    assert [entry.number for entry in audit.newest(9, before=3)] == [2, 1]
    for most in (1, 4, 5, 9):
        audit.check(most)
    with database.write() as connection:
        for trigger in ("audit_stays_at_update", "audit_stays_at_delete"):
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        connection.execute(text("UPDATE audit SET by = 'bob' WHERE number = 4"))
    audit.check(1)
    for newest in (2, None):
        with pytest.raises(Refused, match="entry 4 "):
            audit.check(newest)
    with database.write() as connection:
        connection.execute(text("DELETE FROM audit WHERE number = 2"))
    # That one is missing is seen wherever it was.
    with pytest.raises(Refused, match="was changed"):
        audit.check(1)
