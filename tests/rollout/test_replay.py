"""A service that normalises wrongly is stopped before traffic reaches it."""

import math
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.support.bundles import CLASSES
from tests.support.projects import opened, results, write_project

from everloop.evaluation.evaluate import Evaluation
from everloop.ids import BundleId, SampleId, SnapshotId
from everloop.loop.controller import acquire, take_turn
from everloop.loop.observe import observe
from everloop.loop.project import Project
from everloop.loop.pursuit import Pursuit, pursue
from everloop.packaging.keys import make_keys
from everloop.rollout.replay import Replay, judge_replay
from everloop.rollout.service import trust_options
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.answers.declared import answer_kind

TASK = ImageClassification(classes=CLASSES, size=(8, 8), channels=1)
KIND = answer_kind(TASK.answer(), CLASSES)
GIVEN = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32)
LABELS = np.array([0, 1, 1])


def _now() -> datetime:
    return datetime.now(UTC)


def _evaluation() -> Evaluation:
    return Evaluation(
        BundleId("b"), SnapshotId("s"), CLASSES, tuple(SampleId(str(n)) for n in range(3)),
        tuple(CLASSES[n] for n in LABELS), ("x",) * 3, GIVEN, TASK.score(GIVEN, LABELS),
        TASK.quality, TASK.qualities(GIVEN, LABELS),
    )  # fmt: skip


def test_the_same_answers_pass() -> None:
    verdict = judge_replay(_evaluation(), Replay(GIVEN + 1e-5, ()), 1e-3, TASK, KIND)
    assert verdict.passed and verdict.max_difference < 2e-5


def test_one_answer_off_is_enough_even_with_the_same_labels() -> None:
    answers = GIVEN.copy()
    answers[1] = [0.25, 0.75]
    verdict = judge_replay(_evaluation(), Replay(answers, ()), 1e-3, TASK, KIND)
    assert not verdict.passed
    assert verdict.live["accuracy"] == verdict.evaluated["accuracy"]
    assert "1 of 3 live answers differ" in verdict.reasons[0]


def test_a_missing_answer_never_passes() -> None:
    answers = GIVEN.copy()
    answers[2] = math.nan
    verdict = judge_replay(_evaluation(), Replay(answers, ("timed out",)), 0.4, TASK, KIND)
    assert not verdict.passed and verdict.max_difference == math.inf
    assert "1 requests failed, the first: timed out" in verdict.reasons[0]


def _end_of_candidate(project: Project) -> Pursuit:
    """Turns are taken until the first candidate's way has ended."""
    fence = acquire(project, _now())
    assert fence is not None
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        take_turn(project, fence, _now)
        pursuit = pursue(project.policy, observe(project, _now()))
        if pursuit is not None and pursuit.ended:
            return pursuit
        time.sleep(0.1)
    raise AssertionError("the candidate came to no end")


@pytest.mark.parametrize(
    ("place", "reason"),
    [("request", "live answers differ from evaluation"), ("everywhere", "golden")],
)
def test_a_wrong_normalisation_never_gets_traffic(
    tmp_path: Path, place: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    folder = write_project(tmp_path / "bars", level=1)
    # Only what the loop has signed may be served: it signs what passed its gates.
    public = make_keys(tmp_path / "key")
    with (folder / "everloop.toml").open("a") as settings:
        settings.write(f'[bundle]\nrequire_signature = true\ntrusted_keys = ["{public}"]\n')
        settings.write(f'signing_key = "{tmp_path / "key"}"\n')
    right = opened(folder)
    asked = trust_options(right.policy.bundle)
    wrong = (sys.executable, "-m", "tests.support.wrong_service", place, "darker", *asked)
    project = replace(right, commands=replace(right.commands, service=wrong))
    loop = project.policy.loop.model_copy(update={"attempts": 1})
    project = replace(project, policy=project.policy.model_copy(update={"loop": loop}))
    pursuit = _end_of_candidate(project)
    assert reason in pursuit.reason
    assert results(project, "gate")[0]["passed"] is True, "the bundle itself is good"
    assert project.releases.current().champion is None
    if place == "request":
        (verdict,) = results(project, "verify")
        assert verdict["live"]["accuracy"] > 0.7, "its labels alone would not have told"
        assert verdict["max_difference"] > 1e-3
