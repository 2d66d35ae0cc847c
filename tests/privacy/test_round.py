"""A round of label tasks: chosen once, filtered by a job that may be killed, cleared, made."""

import os
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path

from tests.support.bundles import CLASSES, make_bundle
from tests.support.captures import answer
from tests.support.clock import at
from tests.support.pictures import noise
from tests.support.projects import opened, until, write_project

from everloop.action import Outcome
from everloop.data.collect import collect
from everloop.data.splits import SplitRule
from everloop.ids import BundleId
from everloop.loop import kinds
from everloop.loop.actions.select import select
from everloop.loop.project import Project, Turn
from everloop_runtime.capture import CaptureWriter, sealed_segments


def _capture(project: Project, bundle: BundleId, numbers: range) -> None:
    writer = CaptureWriter(project.layout.capture)
    for n in numbers:
        unsure = {"label": CLASSES[0], "confidence": 0.6, "probabilities": (0.6, 0.4)}
        writer.append(answer(n, noise(n), bundle, **unsure))
    writer.close()
    (segment,) = sealed_segments(project.layout.capture)
    collect(project.data, segment, now=at(0), split=SplitRule(0.4))
    segment.unlink()


def test_a_round_stays_the_one_that_was_chosen_through_kills_and_new_answers(
    tmp_path: Path,
) -> None:
    folder = write_project(tmp_path / "bars", pictures=0)
    settings = (folder / "everloop.toml").read_text()
    several = "[labelling]\noverlap = 2\noverlap_share = 0.5"
    (folder / "everloop.toml").write_text(settings.replace("[labelling]", several))
    project = opened(folder)
    fence = project.leases.acquire("controller", "a test", at(0), timedelta(days=1))
    assert fence is not None
    turn = Turn(fence, at(0))
    bundle = make_bundle(project.layout.bundles)
    _capture(project, bundle, range(60))
    action = kinds.select(bundle, 0, 20, "teach")
    assert not select(project, turn, action).final, "the filters are at work"
    plan = (project.layout.jobs / action.key / "plan.json").read_bytes()
    assert project.queue.counts() == {}, "no task before its sample is cleared"
    for job in project.layout.jobs.glob("filter-*"):
        _kill(str(job))
    _capture(project, bundle, range(60, 90))

    def done() -> Outcome | None:
        outcome = select(project, turn, action)
        return outcome if outcome.final else None

    outcome: Outcome = until(done, why="the round")
    assert outcome.error is None and outcome.result["held"] == 0
    made = sum(project.queue.counts().values())
    assert made == int(str(outcome.result["train"])) + int(str(outcome.result["holdout"])) > 10
    assert (project.layout.jobs / action.key / "plan.json").read_bytes() == plan
    for task in project.queue.shown(100):
        assert task.sample.encode() in plan
        claim = (task.sample, task.cleared.version, task.cleared.rendition)
        assert project.data.renditions.held([claim]) == {claim}
    looks = Counter(Counter(task.sample for task in project.queue.shown(100)).values())
    assert looks[2] == round((looks[1] + looks[2]) / 2) and set(looks) == {1, 2}
    again = select(project, turn, action)
    assert again.result == {"tasks": made}


def _kill(words: str) -> None:
    """Kill the processes whose command line ends with a job's folder."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words.encode() in line and b"job" in line and b"everloop.compute.runner" not in line:
                os.kill(int(entry.name), signal.SIGKILL)
