"""The label queue: nobody is asked twice at once, and no saved answer is lost."""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.support.clearances import VERSION, cleared
from tests.support.clock import at

from everloop.errors import Conflict, Refused
from everloop.ids import BundleId, LabelTaskId, SampleId
from everloop.state.database import Database
from everloop.state.label_queue import LabelQueue, LabelTask, Purpose
from everloop.state.lease import Fence

LEASE = timedelta(minutes=10)


MakeTask: TypeAlias = Callable[..., LabelTask]


@pytest.fixture
def task(database: Database, fence: Fence) -> MakeTask:
    def make(name: str, purpose: Purpose = "train", suggestion: str = "1") -> LabelTask:
        return LabelTask(
            id=LabelTaskId(name),
            cleared=cleared(database, fence, SampleId(name * 8)),
            round="select-1",
            purpose=purpose,
            suggestion=suggestion,
            suggested_by="b" * 64,
            suggestion_confidence=0.5,
            created_at=at(0),
        )

    return make


def test_a_round_added_twice_is_there_once(
    database: Database, fence: Fence, task: MakeTask
) -> None:
    queue = LabelQueue(database, VERSION)
    queue.add([task("a"), task("b")], fence)
    queue.add([task("b"), task("c")], fence)
    assert queue.counts() == {"open": 3}


def test_labellers_at_once_never_get_the_same_task(
    database: Database, fence: Fence, task: MakeTask
) -> None:
    queue = LabelQueue(database, VERSION)
    queue.add([task(f"t{n:03d}") for n in range(40)], fence)
    taken: list[LabelTaskId] = []

    def work(name: str) -> None:
        while (task := queue.next(name, at(1), LEASE)) is not None:
            taken.append(task.id)
            queue.answer(task.id, "1", name, at(2))

    threads = [threading.Thread(target=work, args=(f"person {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [f"t{n:03d}" for n in range(40)]


def test_a_task_left_lying_goes_to_the_next(
    database: Database, fence: Fence, task: MakeTask
) -> None:
    queue = LabelQueue(database, VERSION)
    queue.add([task("a")], fence)
    mine = queue.next("me", at(0), LEASE)
    assert mine is not None
    assert queue.next("you", at(1), LEASE) is None
    assert queue.next("me", at(1), LEASE) == mine
    assert queue.next("you", at(5000), LEASE) == mine
    # A clock set back does not hold it for ever.
    assert queue.next("we", at(-90_000), LEASE) == mine


def test_an_answer_can_be_mended_until_it_is_recorded(
    database: Database, fence: Fence, task: MakeTask
) -> None:
    queue = LabelQueue(database, VERSION)
    queue.add([task("a")], fence)
    queue.answer(LabelTaskId("a"), "3", "me", at(1))
    queue.answer(LabelTaskId("a"), "4", "me", at(2))
    (answered,) = queue.answered_unrecorded()
    assert (answered.label, answered.by) == ("4", "me")
    queue.mark_recorded([answered], fence)
    queue.answer(LabelTaskId("a"), "4", "me", at(3))
    with pytest.raises(Conflict, match="recorded as '4'"):
        queue.answer(LabelTaskId("a"), "5", "me", at(3))
    with pytest.raises(Refused, match="no label task"):
        queue.answer(LabelTaskId("z"), "5", "me", at(3))


def test_an_answer_of_somebody_else_is_never_written_over(
    database: Database, fence: Fence, task: MakeTask
) -> None:
    queue = LabelQueue(database, VERSION)
    queue.add([task("a"), task("b")], fence)
    queue.answer(LabelTaskId("a"), "3", "me", at(1))
    with pytest.raises(Conflict, match="me answered task a"):
        queue.answer(LabelTaskId("a"), "4", "you", at(2))
    with pytest.raises(Conflict, match="me answered task a"):
        queue.skip(LabelTaskId("a"), "unclear", "you", at(2))
    (answered,) = queue.answered_unrecorded()
    assert (answered.label, answered.by) == ("3", "me")
    # What somebody put aside is no answer.
    queue.skip(LabelTaskId("b"), "unclear", "me", at(1))
    queue.answer(LabelTaskId("b"), "4", "you", at(2))
    assert len(queue.answered_unrecorded()) == 2


def test_a_mended_answer_is_not_marked_recorded_by_the_older_one(
    database: Database, fence: Fence, task: MakeTask
) -> None:
    queue = LabelQueue(database, VERSION)
    queue.add([task("a")], fence)
    queue.answer(LabelTaskId("a"), "3", "me", at(1))
    read = queue.answered_unrecorded()
    queue.answer(LabelTaskId("a"), "4", "me", at(2))
    queue.mark_recorded(read, fence)
    (answered,) = queue.answered_unrecorded()
    assert answered.label == "4"


def test_a_saved_answer_survives_sigkill(
    tmp_path: Path, database: Database, fence: Fence, task: MakeTask
) -> None:
    LabelQueue(database, VERSION).add([task("a")], fence)
    script = f"""
import os, signal
from pathlib import Path
from datetime import datetime, UTC
from everloop.state.database import Database
from everloop.state.label_queue import LabelQueue
LabelQueue(Database.open(Path({str(tmp_path / "state.db")!r})), {VERSION!r}).answer(
    "a", "7", "me", datetime.now(UTC))
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    (answered,) = LabelQueue(database, VERSION).answered_unrecorded()
    assert answered.label == "7"


def test_an_audit_tells_how_many_answers_were_right(
    database: Database, fence: Fence, task: MakeTask
) -> None:
    queue = LabelQueue(database, VERSION)
    assert queue.latest_audit(BundleId("b" * 64)) is None
    queue.add([task("a", "audit", "1"), task("b", "audit", "2"), task("c", "train")], fence)
    queue.answer(LabelTaskId("a"), "1", "me", at(1))
    queue.answer(LabelTaskId("b"), "1", "me", at(1))
    queue.answer(LabelTaskId("c"), "1", "me", at(1))
    assert queue.latest_audit(BundleId("b" * 64)) == (at(0), (("1", "1"), ("1", "2")))
    assert queue.latest_audit(BundleId("c" * 64)) is None


def test_the_tasks_one_holds_ahead_are_nobody_elses(
    database: Database, fence: Fence, task: MakeTask
) -> None:
    queue = LabelQueue(database, VERSION)
    queue.add([task(name) for name in "abcde"], fence)
    mine = queue.take("me", at(0), LEASE, 3)
    assert [t.id for t in mine] == ["a", "b", "c"]
    assert [t.id for t in queue.take("you", at(1), LEASE, 3)] == ["d", "e"]
    queue.answer(LabelTaskId("a"), "1", "me", at(2))
    assert [t.id for t in queue.take("me", at(3), LEASE, 3)] == ["b", "c"]
    assert queue.held(LabelTaskId("a"), "me") == mine[0]
    assert queue.held(LabelTaskId("a"), "you") is None
    # Whose lease ended may still answer as long as nobody else has it.
    assert queue.held(LabelTaskId("b"), "me") is not None
    assert [t.id for t in queue.take("you", at(5000), LEASE, 3)] == ["b", "c", "d"]
    assert queue.held(LabelTaskId("b"), "me") is None


def test_of_several_tasks_about_a_sample_each_person_gets_one(
    database: Database, fence: Fence, task: MakeTask
) -> None:
    queue = LabelQueue(database, VERSION)
    first = task("a")
    again = [replace(first, id=LabelTaskId(f"a{n}")) for n in (1, 2)]
    queue.add([first, again[0], task("b"), again[1]], fence)
    assert [t.id for t in queue.take("me", at(0), LEASE, 4)] == ["a", "b"]
    assert [t.id for t in queue.take("you", at(0), LEASE, 4)] == ["a1"]
    queue.answer(LabelTaskId("a"), "1", "me", at(1))
    assert [t.id for t in queue.take("me", at(1), LEASE, 4)] == ["b"]
    with pytest.raises(Conflict, match="me answered about this sample already"):
        queue.answer(LabelTaskId("a2"), "1", "me", at(1))
    assert [t.id for t in queue.take("we", at(5000), LEASE, 4)] == ["a1", "b"]
    queue.skip(LabelTaskId("a1"), "blurred", "we", at(5001))
    assert [t.id for t in queue.take("we", at(9000), LEASE, 4)] == ["b"]
    # What is taken back may be given again by the same person.
    queue.reopen(LabelTaskId("a"), "me", at(9001), LEASE)
    assert [t.id for t in queue.take("me", at(9001), LEASE, 4)] == ["a"]


def test_an_answer_is_taken_back_by_whoever_gave_it(
    database: Database, fence: Fence, task: MakeTask
) -> None:
    queue = LabelQueue(database, VERSION)
    queue.add([task("a"), task("b")], fence)
    queue.take("me", at(0), LEASE, 2)
    queue.answer(LabelTaskId("a"), "3", "me", at(1))
    queue.skip(LabelTaskId("b"), "blurred", "me", at(1))
    with pytest.raises(Conflict, match="was not answered by you"):
        queue.reopen(LabelTaskId("a"), "you", at(2), LEASE)
    queue.reopen(LabelTaskId("a"), "me", at(2), LEASE)
    queue.reopen(LabelTaskId("b"), "me", at(2), LEASE)
    assert queue.counts() == {"open": 2} and not queue.answered_unrecorded()
    assert queue.next("you", at(3), LEASE) is None
    queue.answer(LabelTaskId("a"), "4", "me", at(4))
    queue.mark_recorded(queue.answered_unrecorded(), fence)
    queue.reopen(LabelTaskId("a"), "me", at(5), LEASE)
    assert queue.counts() == {"open": 2}


def test_a_task_among_a_hundred_thousand_is_found_by_the_index(database: Database) -> None:
    with database.read() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT * FROM label_tasks WHERE status = 'open' "
            "AND policy_version = 'x' AND (leased_until IS NULL OR leased_by = 'me') "
            "ORDER BY position LIMIT 4"
        ).all()
    told = " ".join(str(row) for row in plan)
    assert "label_tasks_waiting" in told and "TEMP B-TREE" not in told
