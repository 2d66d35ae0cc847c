"""Rounds of labelling on real stores: the first one, one with sure answers, and what is learnt."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.support.bundles import CLASSES, make_bundle
from tests.support.captures import answer
from tests.support.clock import at
from tests.support.here import Here
from tests.support.pictures import noise
from tests.support.projects import opened, until, write_project

from everloop.action import Action, Outcome
from everloop.data.collect import collect
from everloop.data.splits import SplitRule
from everloop.evaluation.evaluate import Evaluation, save
from everloop.ids import BundleId, LabelTaskId, SampleId, SnapshotId
from everloop.loop import kinds
from everloop.loop.act import perform
from everloop.loop.arms.prelabelling import take_prelabels
from everloop.loop.decision import Decision
from everloop.loop.observe import observe
from everloop.loop.project import Project, Turn
from everloop_runtime.capture import CaptureWriter, sealed_segments
from everloop_runtime.ids import sample_id

HELD = 300


@dataclass
class Life:
    """A project, the right to write to it, and a clock that only the test moves."""

    project: Project
    turn: Turn
    bundle: BundleId

    def now(self) -> datetime:
        return self.turn.now

    def arm(self) -> Decision:
        return take_prelabels(self.project.policy, observe(self.project, self.now()), None)

    def act(self) -> Decision:
        """Do what the arm wants now."""
        decision = self.arm()
        assert decision.action is not None, decision.reason
        perform(self.project, self.turn, decision, self.now)
        return decision

    def do(self, action: Action) -> Outcome:
        """One Action, attempted until it is over."""

        def over() -> Outcome | None:
            perform(self.project, self.turn, Decision("test", action, "a test asks"), self.now)
            self.turn = replace(self.turn, now=self.turn.now + timedelta(seconds=30))
            entry = self.project.journal.entry(action.key)
            assert entry is not None
            return entry.outcome if entry.outcome is not None and entry.outcome.final else None

        outcome: Outcome = until(over, why=action.kind)
        assert outcome.error is None, outcome.error
        return outcome


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    """A live model with a measured hold-out, and 80 captured answers: half of them sure."""
    folder = write_project(tmp_path / "bars", pictures=0)
    with (folder / "everloop.toml").open("a") as policy:
        policy.write("[labelling.prelabel]\nprecision = 0.9\naudit_share = 0.3\n")
    project = opened(folder)
    fence = project.leases.acquire("controller", "a test", at(0), timedelta(days=1))
    assert fence is not None
    bundle = make_bundle(project.layout.bundles)
    life = Life(project, Turn(fence, at(0)), bundle)
    project.releases.set_champion(bundle, "a test", fence, at(0))
    _measured(life)
    writer = CaptureWriter(project.layout.capture)
    for n in range(80):
        told = (0.97, 0.03) if n % 2 else (0.6, 0.4)
        writer.append(answer(n, noise(n), bundle, label=CLASSES[0], confidence=told[0],
                             probabilities=told))  # fmt: skip
    writer.close()
    (segment,) = sealed_segments(project.layout.capture)
    collect(project.data, segment, now=at(0), split=SplitRule(0.4))
    segment.unlink()
    yield life


def _measured(life: Life) -> None:
    """What people said of the hold-out: the model is right where it is sure."""
    sure = np.linspace(0.5, 1.0, HELD)
    right = sure > 0.7
    values = np.stack([sure, 1 - sure], axis=1).astype(np.float32)
    labels = tuple(CLASSES[0] if good else CLASSES[1] for good in right)
    names = tuple(SampleId(f"{n:064x}") for n in range(HELD))
    found = Evaluation(life.bundle, SnapshotId("5" * 64), CLASSES, names, labels, ("",) * HELD,
                       values, {"accuracy": float(right.mean())}, "accuracy",
                       right.astype(np.float64))  # fmt: skip
    digest = save(life.project.layout.evaluations, found)
    action = kinds.evaluate(life.project.policy, life.bundle, SnapshotId("5" * 64))
    journal, fence = life.project.journal, life.turn.fence
    journal.intend(action, "judge", "a test", fence, at(0))
    done = Outcome(final=True, result={"evaluation": digest})
    journal.finish(action.key, done, fence, at(0))


def _tasks(life: Life) -> Sequence[LabelTaskId]:
    return [task.id for task in life.project.queue.shown(1000)]


def test_sure_answers_become_labels_until_audits_break_the_promise(life: Life) -> None:
    life.do(kinds.select_on_request(life.bundle, 60, "one"))
    opened_tasks = life.project.queue.shown(1000)
    ruled = life.act()
    assert ruled.action is not None and ruled.action.kind == "prelabel-rule"
    accepted = life.act()
    assert accepted.action is not None and accepted.action.kind == "accept"
    assert "wrong on the hold-out, which shows a precision of 0.9" in accepted.reason
    taken = life.project.queue.answered_unrecorded()
    sure = [t for t in opened_tasks if t.purpose == "train" and not t.drawn
            and (t.suggestion_confidence or 0) > 0.9]  # fmt: skip
    audited = [task for task in sure if task.id < "4ccccccc"]
    assert audited and {t.id for t in taken} == {t.id for t in sure} - {t.id for t in audited}
    # Each is an annotation that says which model said it, how sure, and for which task.
    life.do(kinds.record_answers("1" * 64))
    standing = life.project.data.annotations.standing([task.sample for task in taken])
    assert {(a.kind, a.by, a.label) for a in standing.values()} == {
        ("accepted", life.bundle, CLASSES[0])
    }
    assert {a.origin for a in standing.values()} == {task.id for task in taken}
    assert {round(a.confidence or 0, 2) for a in standing.values()} == {0.97}
    assert "no open task is sure enough" in life.arm().reason
    # People find the audited ones wrong: what was taken goes back to people, for good.
    for task in audited:
        life.project.queue.answer(task.id, CLASSES[1], "ann", life.now())
    ended = life.act()
    assert ended.action is not None and ended.action.kind == "withdraw-prelabels"
    assert f"only 0 of {len(audited)} audited answers were right" in ended.reason
    assert {task.id for task in taken} <= set(_tasks(life))
    assert f"off for bundle {life.bundle[:8]}: only 0 of" in life.arm().reason
    # A person's word goes before the model's.
    first = taken[0]
    life.project.queue.answer(first.id, CLASSES[1], "ann", life.now())
    life.do(kinds.record_answers("2" * 64))
    (now,) = life.project.data.annotations.standing([first.sample]).values()
    assert (now.kind, now.label) == ("person", CLASSES[1])


def test_what_is_drawn_at_random_is_marked_and_tells_how_good_the_live_model_is(
    life: Life, capsys: pytest.CaptureFixture[str]
) -> None:
    life.do(kinds.select_on_request(life.bundle, 50, "one"))
    tasks = life.project.queue.shown(1000)
    drawn = [task for task in tasks if task.drawn]
    assert {t.purpose for t in drawn} == {"train", "holdout"}
    assert sum(t.purpose == "train" for t in drawn) == round(35 * 0.05)
    for number, task in enumerate(drawn):
        life.project.queue.answer(task.id, CLASSES[number % 2], "ann", life.now())
    told = Here(life.project.layout.project, capsys).told("label", "status")
    right = (len(drawn) + 1) // 2
    assert told["drawn_at_random"] == {"answered": len(drawn), "right": right}
    assert told["accuracy_between"][0] < right / len(drawn) < told["accuracy_between"][1]


def test_people_are_asked_about_what_somebody_chose_but_not_for_the_holdout(life: Life) -> None:
    samples = [sample_id(noise(n)) for n in range(12)]
    places = life.project.data.samples.places(samples)
    free = {name for name in samples if places[name].side != "holdout"}
    assert free and len(free) < 12
    unknown = SampleId("e" * 64)
    outcome = life.do(kinds.select_chosen(life.bundle, [*samples, unknown], "one"))
    assert outcome.result["train"] == len(free)
    tasks = life.project.queue.shown(100)
    assert {task.sample for task in tasks} == free
    assert all(task.suggestion == CLASSES[0] and not task.drawn for task in tasks)


def test_the_first_round_asks_about_what_has_no_label_without_offering_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_project(tmp_path / "bars", pictures=3)
    more = tmp_path / "more"
    more.mkdir()
    for n in range(40):
        (more / f"{n}.png").write_bytes(noise(n))
    here = Here(folder, capsys)
    here.run("data", "import", folder / "data" / "labelled")
    here.run("data", "import", more)
    project = opened(folder)
    told = here.told("label", "ask", "--budget", "10")
    assert told["train"] == 7 and told["holdout"] == 3
    tasks = project.queue.shown(100)
    assert {(t.suggestion, t.suggested_by) for t in tasks} == {(None, None)}
    assert {t.sample for t in tasks} <= {sample_id(noise(n)) for n in range(40)}
    arms = {row["arm"]: row for row in here.told("why")}
    assert "10 label tasks wait for people" in arms["label"]["reason"]
    # What somebody skips is not asked about again.
    skipped = tasks[0]
    project.queue.skip(skipped.id, "blurred", "ann", at(1))
    assert project.queue.skipped() == {skipped.sample}
