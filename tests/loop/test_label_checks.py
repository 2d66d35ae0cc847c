"""Gold questions and likely label errors, from what a bundle answered on a hold-out."""

from dataclasses import replace

import numpy as np
import pytest
from tests.support.pages import CLASSES, Filled, disagree, fill, now, record, things_project

from everloop.action import Outcome
from everloop.evaluation.evaluate import Evaluation, save
from everloop.ids import SnapshotId
from everloop.labelling.doubts import Doubt
from everloop.labelling.overlap import Row
from everloop.loop import kinds
from everloop.loop.controller import acquire
from everloop.loop.label_checks import with_checks
from everloop.loop.label_doubts import drop_doubts, suspected
from everloop.loop.project import Project
from everloop.loop.review import decide, undo
from everloop.policy import LabellingPolicy, Policy
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import canonical_json

SNAPSHOT = SnapshotId("5" * 64)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Filled]:
    """A product whose bundle answered twelve labelled samples, and was sure one label is wrong."""
    project = things_project(tmp_path_factory.mktemp("checks") / "things")
    put = fill(project, tasks=2)
    labels = [CLASSES[n % 3] for n in range(12)]
    values = np.full((12, 2), 0.05, np.float32)
    values[np.arange(12), [int(n % 3 == 1) for n in range(12)]] = 0.95
    values[4] = (0.99, 0.01)
    found = Evaluation(
        put.bundles[1], SNAPSHOT, CLASSES[:2], tuple(put.samples[:12]), tuple(labels),
        ("test",) * 12, values, {"accuracy": 11 / 12}, "accuracy", np.ones(12),
    )  # fmt: skip
    digest = save(project.layout.evaluations, found)
    fence = acquire(project, now())
    assert fence is not None
    strict = Policy.model_validate({"level": 2, "evaluation": {"examples": 1}})
    action = kinds.evaluate(strict, put.bundles[1], SNAPSHOT)
    project.journal.intend(action, "judge", "planted", fence, now())
    project.journal.finish(action.key, Outcome(True, result={"evaluation": digest}), fence, now())
    project.leases.release(fence)
    return project, put


def test_a_label_that_the_model_speaks_against_waits_until_somebody_decides(
    evaluated: tuple[Project, Filled],
) -> None:
    project, put = evaluated
    (doubt,) = suspected(project).rows
    assert (doubt.sample, doubt.given, doubt.likely) == (put.samples[4], CLASSES[1], CLASSES[0])
    decide(project, doubt.sample, CLASSES[1], by="cleo", comment="it is right", now=now())
    assert not suspected(project).rows
    record(project)
    decide(project, doubt.sample, CLASSES[0], by="cleo", comment="it is not", now=now())
    record(project)
    undo(project, doubt.sample, by="cleo", now=now())
    assert not suspected(project).rows, "its label is another one until that is recorded"
    record(project)
    assert [row.sample for row in suspected(project).rows] == [doubt.sample]


def test_gold_questions_are_held_out_samples_without_doubt_and_carry_an_offer(
    evaluated: tuple[Project, Filled],
) -> None:
    project, put = evaluated
    action = kinds.select(put.bundles[1], 3, 10, "teach")
    plan: list[Row] = [{"sample": put.samples[n], "purpose": "train"} for n in (0, 20, 21, 22)]
    asking = project.policy.labelling.model_copy(update={"gold_share": 0.6, "overlap": 1})
    found = with_checks(_with(project, asking), action, plan)
    gold = [dict(row) for row in found if isinstance(row, dict) and row["purpose"] == "gold"]
    assert len(found) == 10 and len(gold) == 6
    offered = {row["sample"] for row in gold}
    assert put.samples[4] not in offered and put.samples[0] not in offered
    standing = project.data.annotations.standing(list(put.samples))
    assert all(row["known"] == standing[row["sample"]].label for row in gold)
    assert all(row["suggestion"] in CLASSES and row["confidence"] > 0.8 for row in gold)
    # Those that were asked about less often come first.
    disagree(project, put.samples[1], {"ann": "dark"}, known="bright")
    known = [row["sample"] for row in with_checks(_with(project, asking), action, plan)
             if isinstance(row, dict) and row["purpose"] == "gold"]  # fmt: skip
    assert put.samples[1] not in known


def test_what_was_found_of_training_labels_is_told_until_it_is_forgotten(
    evaluated: tuple[Project, Filled],
) -> None:
    project, put = evaluated
    found = [
        Doubt(sample, "train", CLASSES[n % 3], CLASSES[0], -0.9).as_json()
        for n, sample in enumerate(put.samples)
        if n in (7, 8)
    ]
    write_atomic(project.layout.label_doubts, canonical_json({"rows": found}))
    before = {doubt.sample for doubt in suspected(project).rows}
    assert before > {put.samples[7], put.samples[8]} and "train" in suspected(project).how
    assert drop_doubts(project, [put.samples[7]]) == 1
    assert before - {doubt.sample for doubt in suspected(project).rows} == {put.samples[7]}
    assert put.samples[7].encode() not in project.layout.label_doubts.read_bytes()
    project.layout.label_doubts.unlink()
    assert drop_doubts(project, [put.samples[8]]) == 0


def _with(project: Project, labelling: LabellingPolicy) -> Project:
    return replace(project, policy=project.policy.model_copy(update={"labelling": labelling}))
