"""Disagreements are kept out of snapshots until an adjudicator decides; nothing said is lost."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.clock import at
from tests.support.pages import CLASSES, Filled, disagree, fill, now, record, things_project
from tests.support.projects import opened

from everloop.data.annotations import Annotation, Kind
from everloop.errors import Refused
from everloop.ids import AnnotationId, BundleId, SampleId
from everloop.loop import kinds
from everloop.loop.campaigns import campaigns, check_new
from everloop.loop.controller import acquire
from everloop.loop.label_quality import quality_of
from everloop.loop.observe import observe
from everloop.loop.project import Project
from everloop.loop.review import DISPUTED, decide, disputed, history, standing_of, undo
from everloop.loop.single import run_action
from everloop.state.prelabels import Sure

DARK, BRIGHT = CLASSES[:2]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Filled]:
    project = things_project(tmp_path_factory.mktemp("review") / "things")
    return project, fill(project, tasks=5)


def _standing(project: Project, sample: SampleId) -> str:
    return project.data.annotations.standing([sample])[sample].label


def test_a_disagreement_is_kept_out_decided_told_and_undone(
    filled: tuple[Project, Filled],
) -> None:
    project, put = filled
    sample, other = put.samples[:2]
    disagree(project, sample, {"ann": DARK, "bob": BRIGHT})
    disagree(project, other, {"ann": DARK, "bob": DARK})
    record(project)
    assert [dispute.sample for dispute in disputed(project)] == [sample]
    assert project.data.exclusions.current() == {sample: DISPUTED}

    decide(project, sample, DARK, by="cleo", comment="look closer", now=now())
    assert not disputed(project)
    assert observe(project, now()).queue.unrecorded_count == 1
    record(project)
    assert not project.data.exclusions.current()
    assert _standing(project, sample) == DARK
    told = history(project, sample)
    assert [(e.by, e.kind, e.stands) for e in told[-1:]] == [("cleo", "person", True)]
    assert told[-1].told == "conflict: look closer"
    assert {"ann", "bob", "cleo"} <= {event.by for event in told}

    undo(project, sample, by="cleo", now=now())
    record(project)
    assert _standing(project, sample) == BRIGHT, "bob's answer was the last before"
    assert [dispute.sample for dispute in disputed(project)] == [sample], "it waits again"
    undo(project, sample, by="cleo", now=now())
    record(project)
    assert _standing(project, sample) == DARK
    assert len(history(project, sample)) == len(told) + 2


def test_a_later_answer_opens_a_decided_question_only_where_it_disagrees(
    filled: tuple[Project, Filled],
) -> None:
    project, put = filled
    sample = put.samples[4]
    tasks = disagree(project, sample, {"ann": DARK, "bob": BRIGHT, "cleo": None, "dan": None})
    decide(project, sample, DARK, by="zoe", comment="", now=now())
    project.queue.answer(tasks[2], DARK, "cleo", now())
    assert sample not in {dispute.sample for dispute in disputed(project)}
    project.queue.answer(tasks[3], BRIGHT, "dan", now())
    assert sample in {dispute.sample for dispute in disputed(project)}
    decide(project, sample, DARK, by="zoe", comment="", now=now())


def test_what_is_told_of_answers_follows_each_of_them(tmp_path: Path) -> None:
    project = things_project(tmp_path / "things")
    put = fill(project, tasks=3)

    def told() -> tuple[int, int, int, int]:
        found = quality_of(project)
        assert found.as_json() == quality_of(opened(project.layout.project)).as_json()
        return found.answers, found.overlapped, found.disputed, found.gold_right

    assert told() == (0, 0, 0, 0)
    first, second = disagree(project, put.samples[0], {"ann": DARK, "bob": BRIGHT})
    assert told() == (2, 1, 1, 0)
    project.queue.answer(second, DARK, "bob", now())
    assert told() == (2, 1, 0, 0)
    project.queue.reopen(first, "ann", now(), timedelta(minutes=1))
    assert told() == (1, 0, 0, 0)
    project.queue.skip(first, "unclear", "ann", now())
    assert told() == (1, 0, 0, 0)
    disagree(project, put.samples[1], {"ann": DARK}, known=DARK)
    assert told() == (2, 0, 0, 1)
    project.resolutions.record(
        put.samples[1], BRIGHT, why="correction", by="zoe", comment="", now=now()
    )
    assert told() == (2, 0, 0, 0)
    assert quality_of(project, "round of nothing").answers == 0
    assert {one.name: one.skipped for one in quality_of(project).people} == {"ann": 1, "bob": 0}


def test_a_models_answer_that_is_on_the_way_is_no_persons(tmp_path: Path) -> None:
    project = things_project(tmp_path / "things")
    sample = fill(project, tasks=2).samples[1]
    fence = acquire(project, now())
    assert fence is not None
    assert project.prelabels.accept(Sure(BundleId("b" * 64), 0.5, 0.0), fence, now()) == 2
    project.leases.release(fence)
    # The import stands, whatever a model says later; nothing was there before it.
    with pytest.raises(Refused, match="no label before"):
        undo(project, sample, by="cleo", now=now())
    assert not quality_of(project).people
    project.resolutions.record(sample, DARK, why="correction", by="zoe", comment="", now=now())
    assert undo(project, sample, by="cleo", now=now()).label == BRIGHT, "as it was imported"
    assert not quality_of(project).people


def test_what_a_person_left_out_stays_out(filled: tuple[Project, Filled]) -> None:
    project, put = filled
    sample = put.samples[5]
    project.data.exclusions.leave_out([sample], "blurred", by="ann", now=now())
    disagree(project, put.samples[2], {"ann": DARK, "bob": BRIGHT})
    record(project)
    decide(project, put.samples[2], DARK, by="cleo", comment="", now=now())
    record(project)
    assert project.data.exclusions.current()[sample] == "blurred"


def test_a_label_that_is_none_and_a_sample_that_is_not_there_are_refused(
    filled: tuple[Project, Filled],
) -> None:
    project, put = filled
    with pytest.raises(Refused):
        decide(project, put.samples[0], "nonsense", by="cleo", comment="", now=now())
    with pytest.raises(Refused, match="no sample"):
        decide(project, SampleId("e" * 64), DARK, by="cleo", comment="", now=now())
    with pytest.raises(Refused, match="no label before"):
        undo(project, put.samples[9], by="cleo", now=now())


def test_gold_questions_say_nothing_of_the_sample(filled: tuple[Project, Filled]) -> None:
    project, put = filled
    sample = put.samples[3]
    before = _standing(project, sample)
    wrong = BRIGHT if before == DARK else DARK
    disagree(project, sample, {"ann": wrong, "bob": before}, known=before)
    record(project)
    assert _standing(project, sample) == before
    assert sample not in {dispute.sample for dispute in disputed(project)}
    gold = [event for event in history(project, sample) if event.kind == "gold"]
    assert {(event.by, event.label) for event in gold} == {("ann", wrong), ("bob", before)}
    assert not project.queue.answered_unrecorded()


def test_a_campaign_asks_again_without_an_offer_and_tells_what_changed(
    filled: tuple[Project, Filled],
) -> None:
    project, _ = filled
    pin = kinds.snapshot(project.policy, project.data.labelled_counts().version)
    taken = run_action(project, pin, by="ann", clock=now)
    snapshot = project.data.snapshots.find(str(taken.result["snapshot"]))
    dark = {row["sample"] for row in snapshot.rows.to_pylist() if row["label"] == DARK}
    assert dark
    again = kinds.relabel("dark ones", snapshot.id, {"label": DARK}, 500)
    check_new(project, again)
    done = run_action(project, again, by="ann", clock=now)
    assert done.error is None, done.error
    assert done.result["tasks"] == len(dark)
    with pytest.raises(Refused, match="already"):
        check_new(project, kinds.relabel("dark ones", snapshot.id, {}, 9))
    tasks = [task for task in project.queue.shown(100) if task.round == "campaign dark ones"]
    assert {task.sample for task in tasks} == dark
    assert {task.suggestion for task in tasks} == {None}
    for number, task in enumerate(tasks):
        project.queue.answer(task.id, DARK if number else BRIGHT, "zoe", now())
    record(project)
    (told,) = campaigns(project)
    assert (told.answered, told.changed) == (len(dark), 1)
    assert _standing(project, tasks[0].sample) == BRIGHT
    assert snapshot.find([tasks[0].sample])[tasks[0].sample].label == DARK


def test_the_standing_statement_is_a_persons_then_the_latest() -> None:
    def said(name: str, kind: Kind, when: float) -> Annotation:
        return Annotation(AnnotationId(name), SampleId("s"), name, name, kind, None, at(when), "o")

    told = [said("a", "person", 1), said("b", "import", 9), said("c", "model", 10)]
    assert standing_of(told) == told[0]
    assert standing_of(told[1:]) == told[1]
    assert standing_of(told[2:]) is None
