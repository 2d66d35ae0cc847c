"""Answers taken without a person: which tasks, marked how, and given back."""

from datetime import timedelta

from tests.support.clearances import VERSION, cleared
from tests.support.clock import at

from everloop.data.annotations import annotation_id
from everloop.ids import BundleId, LabelTaskId, SampleId
from everloop.state.database import Database
from everloop.state.label_queue import LabelQueue, LabelTask, Purpose
from everloop.state.lease import Fence
from everloop.state.prelabels import Prelabels, Sure

BUNDLE = BundleId("b" * 64)
SURE = Sure(BUNDLE, 0.9, 0.25)


def _task(
    name: str,
    database: Database,
    fence: Fence,
    *,
    purpose: Purpose = "train",
    confidence: float = 0.95,
    drawn: bool = False,
    by: str = BUNDLE,
) -> LabelTask:
    proof = cleared(database, fence, SampleId(f"sample {name}"))
    return LabelTask(LabelTaskId(name * 64), proof, "r", purpose, "cat", by, confidence, at(0),
                     drawn=drawn)  # fmt: skip


def _queue(database: Database, fence: Fence) -> LabelQueue:
    queue = LabelQueue(database, VERSION)
    tasks = [_task(name, database, fence) for name in "019af"]
    tasks += [
        _task("b", database, fence, confidence=0.9),
        _task("c", database, fence, purpose="holdout", drawn=True),
        _task("d", database, fence, drawn=True),
        _task("e", database, fence, by="another bundle"),
    ]
    queue.add(tasks, fence)
    return queue


def test_only_sure_answers_are_taken_and_audits_the_hold_out_and_random_ones_go_to_people(
    database: Database, fence: Fence
) -> None:
    queue, prelabels = _queue(database, fence), Prelabels(database, VERSION)
    held = queue.next("ann", at(0), timedelta(minutes=10))
    assert held is not None and held.id[0] == "0"
    assert [name[0] for name in prelabels.standing(SURE, at(1)).eligible] == ["9", "a", "f"]
    assert prelabels.accept(SURE, fence, at(2)) == 3
    assert prelabels.accept(SURE, fence, at(3)) == 0, "repeating it changes nothing"
    told = queue.answered_unrecorded()
    assert {(a.label, a.by, a.confidence, a.at) for a in told} == {("cat", BUNDLE, 0.95, at(2))}
    assert queue.counts() == {"answered": 3, "open": 6}
    assert Prelabels(database, None).standing(SURE, at(4)).eligible == ()


def test_what_somebody_looks_at_is_not_taken_from_under_their_eyes(
    database: Database, fence: Fence
) -> None:
    queue, prelabels = _queue(database, fence), Prelabels(database, VERSION)
    queue.take("ann", at(0), timedelta(minutes=10), 9)
    assert prelabels.accept(SURE, fence, at(1)) == 0
    assert prelabels.accept(SURE, fence, at(601)) == 3


def test_audits_are_counted_and_a_withdrawal_gives_all_that_was_taken_to_people(
    database: Database, fence: Fence
) -> None:
    queue, prelabels = _queue(database, fence), Prelabels(database, VERSION)
    prelabels.accept(SURE, fence, at(1))
    queue.mark_recorded(queue.answered_unrecorded(), fence)
    for name, label in (("0", "cat"), ("1", "dog"), ("d", "dog")):
        queue.answer(LabelTaskId(name * 64), label, "ann", at(2))
    standing = prelabels.standing(SURE, at(3))
    assert (standing.accepted, standing.audited, standing.right) == (3, 2, 1)
    assert queue.drawn_at_random(BUNDLE) == (("dog", "cat"),)
    assert prelabels.ask_again(BUNDLE, fence) == 3
    assert prelabels.standing(SURE, at(4)).accepted == 0
    queue.answer(LabelTaskId("9" * 64), "dog", "ann", at(5))
    again = {a.id[0]: (a.label, a.by, a.confidence) for a in queue.answered_unrecorded()}
    assert again["9"] == ("dog", "ann", None)


def test_a_persons_answer_that_comes_after_all_is_a_persons(
    database: Database, fence: Fence
) -> None:
    queue, prelabels = _queue(database, fence), Prelabels(database, VERSION)
    prelabels.accept(SURE, fence, at(1))
    queue.answer(LabelTaskId("9" * 64), "cat", "ann", at(2))
    told = {a.id[0]: a.confidence for a in queue.answered_unrecorded()}
    assert told == {"9": None, "a": 0.95, "f": 0.95}
    assert annotation_id(SampleId("s"), "cat", "ann", "t") != annotation_id(
        SampleId("s"), "cat", BUNDLE, "t"
    )
