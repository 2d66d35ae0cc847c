"""The gate before label tasks: nothing reaches a labeller that was not cleared."""

import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from tests.support.clearances import EveryRendition, cleared
from tests.support.clock import at

from everloop.data.renditions import NewRendition, Renditions
from everloop.errors import Conflict, Refused
from everloop.ids import LabelTaskId, PolicyVersion, RenditionId, SampleId
from everloop.state.clearances import Clearances, Cleared, Judged, restored
from everloop.state.database import Database
from everloop.state.label_queue import LabelQueue, LabelTask
from everloop.state.lease import Fence, Leases
from everloop.state.tables import label_tasks

OLD, NEW = PolicyVersion("a" * 64), PolicyVersion("b" * 64)
SAMPLE = SampleId("5" * 64)
LEASE = timedelta(minutes=5)
_TASK_OF_BEFORE = (
    "INSERT INTO label_tasks (id, position, sample, round, purpose, created_at, status) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)


def _task(proof: Cleared, name: str = "t") -> LabelTask:
    return LabelTask(LabelTaskId(name), proof, "r", "train", None, None, None, at(0))


def _row(**values: object) -> dict[str, Any]:
    row = {"id": "t", "position": 1, "sample": SAMPLE, "round": "r", "purpose": "train",
           "created_at": at(0), "status": "open", "rendition": "d" * 64,
           "policy_version": OLD}  # fmt: skip
    return {**row, **values}


def test_nobody_but_the_gate_makes_a_proof(database: Database, fence: Fence) -> None:
    with pytest.raises(Refused, match="only the privacy gate"):
        Cleared(SAMPLE, RenditionId("d" * 64), OLD)
    real = cleared(database, fence, SAMPLE, OLD)
    with pytest.raises((Refused, ValueError)):
        replace(real, sample=SampleId("6" * 64))


def test_a_forged_proof_makes_no_task(database: Database, fence: Fence) -> None:
    queue = LabelQueue(database, OLD)
    forged = restored(SAMPLE, RenditionId("d" * 64), OLD)
    with pytest.raises(Refused, match="not cleared this sample"):
        queue.add([_task(forged)], fence)
    cleared(database, fence, SAMPLE, OLD)
    for other in (
        restored(SAMPLE, RenditionId("e" * 64), OLD),
        restored(SAMPLE, RenditionId("d" * 64), NEW),
        restored(SampleId("6" * 64), RenditionId("d" * 64), OLD),
    ):
        with pytest.raises(Refused, match="not cleared this sample"):
            queue.add([_task(other)], fence)
    assert queue.counts() == {}


def test_a_bare_insert_fails_whoever_sends_it(tmp_path: Path, database: Database) -> None:
    for row in (_row(), _row(status="uncleared"), _row(rendition=None), _row(rendition="")):
        with pytest.raises(IntegrityError), database.write() as connection:
            connection.execute(insert(label_tasks), row)
    task = ("t", 1, SAMPLE, "r", "train", 0, "open")
    line = (SAMPLE, OLD, "d" * 64, "maybe", None, 0, None, None, None)
    with sqlite3.connect(tmp_path / "state.db") as raw:
        with pytest.raises(sqlite3.IntegrityError, match="not cleared this sample"):
            raw.execute(_TASK_OF_BEFORE, task)
        with pytest.raises(sqlite3.IntegrityError, match="verdict"):
            raw.execute("INSERT INTO clearances VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", line)


def test_a_held_sample_makes_no_task_and_its_verdict_is_not_edited(
    tmp_path: Path, database: Database, fence: Fence
) -> None:
    book = Clearances(database, EveryRendition())
    book.record([Judged(SAMPLE, OLD, RenditionId("d" * 64), "nine faces")], fence, at(0))
    assert book.cleared([SAMPLE], OLD) == {}
    with pytest.raises(Refused, match="not cleared"):
        LabelQueue(database, OLD).add([_task(restored(SAMPLE, RenditionId("d" * 64), OLD))], fence)
    with sqlite3.connect(tmp_path / "state.db") as raw:
        for change in (("cleared", "d" * 64), ("released", "e" * 64)):
            with pytest.raises(sqlite3.IntegrityError, match="never changed"):
                raw.execute("UPDATE clearances SET verdict = ?, rendition = ?", change)


def test_no_clearance_without_its_rendition_in_the_store(
    tmp_path: Path, database: Database, fence: Fence
) -> None:
    store = Renditions(tmp_path)
    book = Clearances(database, store)
    with pytest.raises(Refused, match="no rendition"):
        book.record([Judged(SAMPLE, OLD, RenditionId("d" * 64), None)], fence, at(0))
    with pytest.raises(Refused, match="no rendition"):
        book.record([Judged(SAMPLE, OLD, None, None)], fence, at(0))
    store.add([NewRendition(SAMPLE, OLD, b"picture", "png", 1, 1, [], None)], at(0))
    made = store.of([SAMPLE], OLD)[SAMPLE].id
    with pytest.raises(Refused, match="no rendition"):
        book.record([Judged(SAMPLE, NEW, made, None)], fence, at(0))
    book.record([Judged(SAMPLE, OLD, made, None)], fence, at(0))
    assert book.cleared([SAMPLE], OLD)[SAMPLE].rendition == made


def test_a_new_policy_version_takes_open_tasks_back_until_they_are_cleared_anew(
    database: Database, fence: Fence
) -> None:
    other = SampleId("6" * 64)
    proofs = [cleared(database, fence, sample, OLD) for sample in (SAMPLE, other)]
    LabelQueue(database, OLD).add([_task(p, p.sample[0]) for p in proofs], fence)
    queue = LabelQueue(database, NEW)
    assert queue.next("ann", at(1), LEASE) is None
    assert queue.counts() == {"uncleared": 2} and queue.oldest_open() is None
    assert list(queue.uncleared().values()) == [SAMPLE, other]
    with pytest.raises(IntegrityError):
        queue.clear([restored(SAMPLE, RenditionId("d" * 64), NEW)], [], fence)
    assert queue.clear([cleared(database, fence, SAMPLE, NEW)], [other], fence) == {
        "open": 1,
        "held": 1,
    }
    task = queue.next("ann", at(2), LEASE)
    assert task is not None and task.cleared.version == NEW
    assert queue.counts() == {"open": 1, "held": 1}
    # The policy of before is put back: what was held under the new one is judged anew too.
    assert LabelQueue(database, OLD).counts() == {"uncleared": 2}


def test_a_closed_gate_gives_no_task(database: Database, fence: Fence) -> None:
    LabelQueue(database, OLD).add([_task(cleared(database, fence, SAMPLE, OLD))], fence)
    closed = LabelQueue(database, None)
    assert closed.next("ann", at(1), LEASE) is None
    assert closed.shown(10) == ()


def test_a_person_releases_what_is_held_with_a_reason(database: Database, fence: Fence) -> None:
    book, queue = Clearances(database, EveryRendition()), LabelQueue(database, NEW)
    LabelQueue(database, OLD).add([_task(cleared(database, fence, SAMPLE, OLD))], fence)
    book.record([Judged(SAMPLE, NEW, RenditionId("e" * 64), "a crowd")], fence, at(0))
    queue.clear([], [SAMPLE], fence)
    with pytest.raises(Refused, match="needs a reason"):
        book.release(SAMPLE, NEW, by="ann", because=" ", now=at(1))
    book.release(SAMPLE, NEW, by="ann", because="they are statues", now=at(1))
    task = queue.next("bob", at(2), LEASE)
    assert task is not None and task.cleared.rendition == "e" * 64
    (line,) = book.list(NEW)
    assert (line.verdict, line.reason, line.released_by, line.released_because) == (
        ("released", "a crowd", "ann", "they are statues")
    )
    with pytest.raises(Conflict, match="released by ann"):
        book.release(SAMPLE, NEW, by="bob", because="me too", now=at(3))
    with pytest.raises(Refused, match="not held back"):
        book.release(SAMPLE, OLD, by="ann", because="no need", now=at(3))


def test_what_has_no_rendition_cannot_be_released(database: Database, fence: Fence) -> None:
    book = Clearances(database, EveryRendition())
    book.record([Judged(SAMPLE, OLD, None, "the filters died on it")], fence, at(0))
    with pytest.raises(Refused, match="nothing can be shown"):
        book.release(SAMPLE, OLD, by="ann", because="please", now=at(1))


def test_tasks_of_an_older_release_wait_until_they_are_cleared(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    _database_at(path, "0001")
    with sqlite3.connect(path) as raw:
        for name, status in (("o", "open"), ("r", "recorded")):
            raw.execute(_TASK_OF_BEFORE, (name, 1, SAMPLE, "r", "train", 0, status))
    database = Database.open(path)
    queue = LabelQueue(database, NEW)
    assert queue.counts() == {"recorded": 1, "uncleared": 1}
    assert queue.next("ann", at(1), LEASE) is None
    fence = Leases(database).acquire("controller", "a test", at(0), timedelta(seconds=15))
    assert fence is not None
    queue.clear([cleared(database, fence, SAMPLE, NEW)], [], fence)
    task = queue.next("ann", at(1), LEASE)
    assert task is not None and task.id == "o"


def _database_at(path: Path, revision: str) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine

    config = Config()
    config.set_main_option("script_location", "everloop.state:migrations")
    with create_engine(f"sqlite:///{path}").begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
