"""The commands beside a running product: people approve, deploy, roll back and trace."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.pictures import bar
from tests.support.projects import EVERLOOP, everloop, opened, product_up, service_of, told, until
from tests.support.projects import write_project as write
from tests.support.warm import Warm

from everloop.layout import Layout
from everloop.rollout.service import live_service


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("running") / "bars", level=1, approval="person")


@pytest.fixture(scope="module")
def up(project: Path) -> Iterator[Warm]:
    with product_up(project) as process:
        yield process


def _candidate(project: Path, words: str) -> str:
    """What `status` says of the candidate, once it holds `words`."""

    def said() -> str | None:
        candidate = told(project, "status")["candidate"]
        return candidate if candidate and words in candidate else None

    found: str = until(said, why=words)
    return found


def _predict(project: Path, seed: int) -> Any:
    picture = project / "asked.png"
    picture.write_bytes(bar(upright=bool(seed % 2), seed=seed))
    return told(project, "predict", picture)[0]


@pytest.mark.usefixtures("up")
def test_a_person_rejects_and_approves(project: Path) -> None:
    _candidate(project, "waits for a person")
    (model,) = told(project, "models", "list")
    assert (model["passed"], model["approved_by"], model["traffic"]) == (True, None, "none")
    assert told(project, "status")["champion"] is None
    told(project, "models", "reject", model["bundle"], "--by", "bo", "--comment", "not yet")
    _candidate(project, "rejected by bo")
    said = everloop(project, "deploy", model["bundle"])
    assert said.code == 3 and "has not passed" in said.err
    told(project, "models", "approve", model["bundle"][:8], "--by", "ann")
    until(lambda: told(project, "status")["champion"] == model["bundle"], why="promotion")
    assert told(project, "models", "show")["approved_by"] == "ann"
    assert everloop(project, "models", "list").code == 0


@pytest.mark.usefixtures("up")
def test_an_answer_is_traced_to_the_labels_behind_it(project: Path) -> None:
    answer = _predict(project, 5001)
    assert answer["label"] == "upright" and answer["role"] == "champion"
    with service_of(project) as client:
        client.flush()

    def collected() -> Any:
        said = everloop(project, "trace", answer["prediction_id"], "--json")
        return said.json() if said.code == 0 else None

    chain = until(collected, why="the answer is not collected")
    assert chain["prediction"]["label"] == "upright"
    assert chain["bundle"]["id"] == answer["bundle"]
    assert chain["bundle"]["approved by"] == "ann"
    assert chain["run"]["params"] == {"steps": 60}
    assert chain["run"]["environment"]["torch"] and chain["run"]["hardware"]["cores"]
    (snapshot,) = told(project, "data", "list")
    assert chain["snapshot"] == snapshot
    assert chain["labels"] == {"by import:data/labelled": 140}
    shown = everloop(project, "trace", answer["prediction_id"])
    assert shown.code == 0 and chain["run"]["code"] in shown.out


@pytest.mark.usefixtures("up")
def test_a_canary_ends_when_a_person_rolls_back(project: Path) -> None:
    first = told(project, "status")["champion"]
    for name in ("lying", "upright"):
        for seed in range(8000, 8060):
            path = project / "data" / "labelled" / name / f"{seed}.png"
            path.write_bytes(bar(name == "upright", 2 * seed + (name == "lying")))
    _candidate(project, "waits for a person")
    second = told(project, "models", "list")[-1]["bundle"]
    assert second != first
    told(project, "models", "approve", second)
    until(lambda: told(project, "status")["canary"], why="canary")
    assert told(project, "status")["canary"] == {"bundle": second, "share": 0.3}
    shown = told(project, "releases", "show")
    assert (shown["candidate"]["bundle"], shown["candidate"]["mode"]) == (second, "canary")
    assert shown["signals"]["errors"] == "within its limit"
    told(project, "rollback", "--by", "bo")
    status = told(project, "status")
    assert (status["champion"], status["canary"]) == (first, None)
    _candidate(project, "it was rolled back")
    ended = told(project, "releases", "list")[-1]
    assert (ended["what"], ended["bundle"]) == ("canary ended", second)
    assert ended["reason"] == "rolled back: bo asked to end the canary"
    assert "no new canary" in everloop(project, "deploy", second, "--strategy", "canary").err


@pytest.mark.usefixtures("up")
def test_a_verified_bundle_is_deployed_and_left_again(project: Path) -> None:
    first = told(project, "status")["champion"]
    second = told(project, "models", "list")[-1]["bundle"]
    told(project, "deploy", second, "--by", "ann")
    assert told(project, "status")["champion"] == second
    until(lambda: _predict(project, 5003)["bundle"] == second, why="traffic on the second")
    assert told(project, "releases", "show")["standing by"] == first
    compared = told(project, "models", "compare", first[:8], second[:8])
    assert [compared[side]["bundle"] for side in ("first", "second")] == [first, second]
    assert everloop(project, "models", "compare", first[:8], second[:8]).code == 0
    told(project, "rollback")
    assert told(project, "status")["champion"] == first
    until(lambda: _predict(project, 5005)["bundle"] == first, why="traffic on the first")


@pytest.mark.usefixtures("up")
def test_a_single_command_is_done_by_the_running_loop(project: Path) -> None:
    snapshot = told(project, "data", "list")[0]["id"]
    measured = told(
        project, "evaluate", told(project, "status")["champion"], "--snapshot", snapshot
    )
    assert measured["metrics"]["accuracy"] > 0.9
    assert told(project, "status")["controller"] is not None


def test_a_killed_up_leaves_the_service_and_the_next_adopts_it(project: Path, up: Warm) -> None:
    assert everloop(project, "down").code == 5
    before = live_service(Layout(project))
    assert before is not None
    os.kill(up.pid, signal.SIGKILL)
    up.wait()
    assert _predict(project, 5007)["label"] == "upright"
    with product_up(project):
        until(lambda: told(project, "status")["controller"], why="controller")
        assert live_service(Layout(project)) == before
    assert live_service(Layout(project)) is None, "Ctrl-C stops the service too"


@pytest.mark.usefixtures("up")
def test_down_stops_what_a_killed_up_left(project: Path) -> None:
    process = subprocess.Popen(
        [*EVERLOOP, "up", "--json", "--project", str(project)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["service"].startswith("http://127.0.0.1:")
    process.kill()
    process.wait()
    assert told(project, "down")["stopped"] == ["service"]
    assert live_service(Layout(project)) is None


@pytest.mark.usefixtures("up")
def test_serve_alone_answers_from_what_was_published(project: Path) -> None:
    process = subprocess.Popen([*EVERLOOP, "serve", "--port", "0", "--project", str(project)])
    try:
        with service_of(project):
            assert _predict(project, 5009)["label"] == "upright"
        said = everloop(project, "serve")
        assert said.code == 5 and "already answers" in said.err
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_level_0_goes_live_without_capture_and_canary(tmp_path: Path) -> None:
    project = write(tmp_path / "bars", level=0)
    with product_up(project):
        until(lambda: told(project, "status")["champion"], why="champion")
        answer = _predict(project, 11)
        assert answer["label"] == "upright"
        said = everloop(project, "trace", answer["prediction_id"])
        assert said.code == 3 and "level 0" in said.err
        for name in ("lying", "upright"):
            for seed in range(40):
                path = project / "data" / "labelled" / name / f"more{seed}.png"
                path.write_bytes(bar(name == "upright", 20_000 + 2 * seed + (name == "lying")))
        until(lambda: told(project, "status")["labels"]["train"] > 76, why="the new labels")
        second = told(project, "train")["bundle"]
        until(lambda: told(project, "status")["champion"] == second, why="second champion")
    assert not opened(project).journal.entries(("canary",))
    assert not list(Layout(project).capture.glob("*.seg*"))
