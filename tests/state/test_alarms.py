"""Alarms stand once, end, come again; who knows of them and what is silent is kept."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.clock import START, at

from everloop.alarm import Alarm
from everloop.errors import Conflict, Refused
from everloop.state.alarms import RETURNS, UNSTEADY, Alarms
from everloop.state.database import Database
from everloop.state.lease import Fence, Leases
from everloop.state.outbox import Message, Outbox

DOWN = Alarm("service-down", "", "critical", "it does not answer", "everloop status")
SLOW = Alarm("signal", "latency", "warning", "it is slow", "everloop status")


def test_an_alarm_stands_from_when_it_is_seen_until_it_is_not(
    database: Database, fence: Fence
) -> None:
    alarms = Alarms(database)
    alarms.sync([DOWN, SLOW], fence, at(0))
    alarms.sync([replace(DOWN, summary="still down"), SLOW], fence, at(1))
    assert [r.alarm.summary for r in alarms.standing()] == ["still down", "it is slow"]
    assert {r.opened_at for r in alarms.standing()} == {START}
    alarms.sync([SLOW], fence, at(2))
    (over,) = alarms.closed_since(at(2))
    assert (over.alarm.key, over.closed_at) == ("service-down", at(2))
    alarms.sync([DOWN, SLOW], fence, at(2) + RETURNS)
    again = alarms.standing()[-1]
    assert again.id != over.id and again.opened_at == at(2) + RETURNS and again.returns == 0


def test_what_comes_and_goes_is_one_alarm_however_often(database: Database, fence: Fence) -> None:
    alarms = Alarms(database)
    for seconds in range(0, 2 * UNSTEADY, 2):
        alarms.sync([DOWN], fence, at(seconds))
        (standing,) = alarms.standing()
        # Nobody has heard of it, so it waits anew for others each time.
        assert (standing.opened_at, standing.returns) == (at(seconds), seconds // 2)
        alarms.sync([], fence, at(seconds + 1))
    for _ in range(3):
        alarms.sync([DOWN], fence, at(100))
        (standing,) = alarms.standing()
        assert standing.opened_at == at(2 * UNSTEADY - 2), "one lasting trouble by now"
        alarms.sync([], fence, at(101))
    assert len(alarms.closed_since(START)) == 1
    assert alarms.told_and_closed_since(START) == ()


def test_what_was_told_stands_on_until_its_end_is_told(database: Database, fence: Fence) -> None:
    alarms, outbox = Alarms(database), Outbox(database)
    alarms.sync([DOWN], fence, at(0))
    (first,) = alarms.standing()
    outbox.post([Message("ops", "alert", ("A",), "t", "b", alarms=(first.id,))], fence, at(30))
    alarms.sync([], fence, at(40))
    alarms.sync([DOWN], fence, at(41))
    (again,) = alarms.standing()
    assert (again.id, again.opened_at, again.returns) == (first.id, START, 1)
    alarms.sync([], fence, at(50))
    outbox.post([Message("ops", "resolved", ("A",), "t", "b", alarms=(first.id,))], fence, at(90))
    alarms.sync([DOWN], fence, at(100))
    (new,) = alarms.standing()
    assert (new.id != first.id, new.opened_at, new.returns) == (True, at(100), 2)
    assert [over.id for over in alarms.told_and_closed_since(START)] == [first.id]


def test_only_the_newest_controller_raises(database: Database, fence: Fence) -> None:
    Leases(database).acquire("controller", "another", at(60), timedelta(seconds=15))
    with pytest.raises(Conflict):
        Alarms(database).sync([DOWN], fence, at(60))
    assert Alarms(database).standing() == ()


def test_who_knows_is_kept_until_it_comes_again(database: Database, fence: Fence) -> None:
    alarms = Alarms(database)
    alarms.sync([DOWN, SLOW], fence, at(0))
    assert [r.alarm.key for r in alarms.acknowledge(["signal:*"], "ann", at(1))] == [SLOW.key]
    assert alarms.acknowledge(["signal"], "bo", at(2)) == (), "the first one is kept"
    assert [r.acked_by for r in alarms.standing()] == [None, "ann"]
    with pytest.raises(Refused, match="no alarm 'nothing' stands; standing: service-down, signal"):
        alarms.acknowledge(["signal", "nothing"], "bo", at(2))
    alarms.sync([DOWN], fence, at(3))
    alarms.sync([DOWN, SLOW], fence, at(4))
    assert alarms.standing()[-1].acked_by == "ann", "it comes and goes, and she knows"
    alarms.sync([DOWN], fence, at(5))
    alarms.sync([DOWN, SLOW], fence, at(5) + RETURNS)
    assert alarms.standing()[-1].acked_by is None


def test_a_silence_has_a_reason_and_an_end(database: Database) -> None:
    alarms = Alarms(database)
    with pytest.raises(Refused, match="say why"):
        alarms.silence("signal", at(60), "ann", " ", at(0))
    made = alarms.silence("signal", at(60), "ann", "a move", at(0))
    assert alarms.silenced(at(59)) == (made,) and made.covers(SLOW) and not made.covers(DOWN)
    assert alarms.silenced(at(60)) == ()
    assert alarms.unsilence("signal", at(30)) == 1 and alarms.silenced(at(31)) == ()


def test_a_message_and_its_mark_are_written_together_and_once(
    database: Database, fence: Fence
) -> None:
    alarms, outbox = Alarms(database), Outbox(database)
    alarms.sync([DOWN, SLOW], fence, at(0))
    ids = tuple(raised.id for raised in alarms.standing())
    message = Message("ops", "alert", ("A", "B", "A"), "t", "b", alarms=ids)
    for seconds in (30, 40):
        outbox.post([message], fence, at(seconds))
    assert sorted(letter.target for letter in outbox.undelivered()) == ["A", "B"]
    assert [dict(r.marks) for r in alarms.standing()] == [{"alert/ops": at(40)}] * 2
    assert outbox.last_by_rule() == {"ops": at(30)}
    letter = outbox.undelivered()[0]
    outbox.failed(letter, "no", at(90), fence)
    assert [x.attempts for x in outbox.undelivered()] == [1, 0]
    outbox.delivered(letter.id, fence, at(100))
    outbox.post([message], fence, at(110))
    assert len(outbox.undelivered()) == 1, "what was delivered is not written again"
