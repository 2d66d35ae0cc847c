"""`everloop tune` as its users call it: failing trials, killed commands, and what becomes of it."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.projects import EVERLOOP, everloop, told, until, write_project
from tests.support.table_project import PRODUCT, write_table_project

pytest.importorskip("optuna", reason="the extra tune is not installed")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table_project(tmp_path_factory.mktemp("tune") / "busy")


TUNE = ("tune", "--workers", "2", "--sampler", "random")


@pytest.fixture(scope="module")
def tuned(project: Path) -> Any:
    return told(project, *TUNE, "--trials", "24")


def test_failing_trials_are_told_and_the_study_goes_on(project: Path, tuned: Any) -> None:
    assert tuned["trials"] == 24 == tuned["complete"] + tuned["pruned"] + tuned["failed"]
    assert tuned["complete"] >= 2 and tuned["failed"] >= 3
    assert tuned["best"]["params"]["kind"] == "good"
    assert tuned["best"]["value"] == tuned["best"]["metrics"]["accuracy"] > 0.7
    assert tuned["lost_workers"] == []
    every = told(project, "studies", "show", tuned["study"][:8])["all"]
    assert sorted(one["trial"] for one in every) == list(range(24))
    assert every[0]["params"] == {"strength": 1.0, "kind": "good"}
    assert all(one["params"]["strength"] < 5 for one in every)
    errors = {
        "raise": r"product.py:25: ValueError: no luck",
        "nan": "training diverged: loss is nan at step 0",
        "kill": "ended by SIGKILL (the machine may have run out of memory)",
    }
    for one in every:
        kind = one["params"]["kind"]
        assert (one["state"] == "failed") == (kind != "good")
        assert errors.get(kind, "") in (one["error"] or "")


def test_every_trial_is_a_run_below_the_study(project: Path, tuned: Any) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project / '.everloop' / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "busy"]
    runs = client.search_runs([experiment.experiment_id], max_results=100)
    (parent,) = [run for run in runs if run.data.tags.get("everloop.study") == tuned["study"]]
    below = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(below) == 24 and len(runs) == 25
    states = [run.info.status for run in below]
    assert states.count("FINISHED") == tuned["complete"]
    assert states.count("FAILED") == tuned["failed"]
    (first,) = [run for run in below if run.data.tags["everloop.trial"] == "0"]
    assert first.data.params == {"strength": "1.0", "kind": "good"}
    assert [m.value for m in client.get_metric_history(first.info.run_id, "loss")] == [1, 2, 3]
    # Of the 240 or so rows of the training side a fifth was kept to judge on.
    assert 180 < first.data.metrics["rows"] < 205
    assert parent.data.metrics["best_accuracy"] == tuned["best"]["value"]
    kept = {artifact.path for artifact in client.list_artifacts(parent.info.run_id, "study")}
    assert kept == {f"study/{Path(path).name}" for path in tuned["plots"].values()}


def test_the_search_is_drawn(tuned: Any) -> None:
    assert {"history", "parallel", "slices"} <= set(tuned["plots"])
    for path in tuned["plots"].values():
        assert Path(path).read_bytes().startswith(b"\x89PNG")


def test_called_again_with_more_it_goes_further(project: Path, tuned: Any) -> None:
    more = told(project, *TUNE, "--trials", "25")
    assert (more["study"], more["trials"]) == (tuned["study"], 25)


def test_a_killed_command_goes_on_where_it_was(tmp_path: Path) -> None:
    code = PRODUCT.replace("Float(0.001, 10.0, log=True)", "Choice(0.1, 1.0)").replace(
        '"good", "raise", "nan", "kill"', '"good", "hang"'
    )
    project = write_table_project(tmp_path / "busy", code)
    settings = (project / "everloop.toml").read_text()
    (project / "everloop.toml").write_text(settings.replace("threads", 'timeout = "3s"\nthreads'))
    grid = ("tune", "--sampler", "grid", "--pruner", "none", "--project", str(project))
    killed = subprocess.Popen([*EVERLOOP, *grid], stdout=subprocess.DEVNULL)
    studies = project / ".everloop" / "studies"
    until(lambda: list(studies.glob("*/trials/*/artifacts/hung")), why="a trial that hangs")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    found = told(project, *grid[:-2])
    assert (found["trials"], found["complete"], found["failed"]) == (4, 2, 2)
    every = told(project, "studies", "show")["all"]
    assert len({json.dumps(one["params"]) for one in every}) == 4
    assert {one["error"] for one in every if one["state"] == "failed"} == {
        "product.py:30: it took longer than the 3 s of [train] timeout and was ended"
    }


def test_a_metric_that_there_is_not_is_refused(project: Path) -> None:
    wrong = PRODUCT.replace('watch="loss"', 'metric="acuracy"')
    (project / "product.py").write_text(wrong)
    try:
        said = everloop(project, "tune", "--trials", "3")
    finally:
        (project / "product.py").write_text(PRODUCT)
    assert said.code == 3
    assert "there is no metric 'acuracy'; there are: accuracy" in said.err


def test_without_a_space_there_is_nothing_to_search(tmp_path: Path) -> None:
    write_project(tmp_path / "bars", pictures=1)
    said = everloop(tmp_path / "bars", "tune")
    assert said.code == 3
    assert "product.space({" in said.err
