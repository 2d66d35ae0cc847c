"""Training attempts as people see them: interrupted, gone on with, failed, compared, done again."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.here import Here
from tests.support.projects import EVERLOOP, opened, product_with, until, write_project

from everloop.layout import Layout

_TRAINING = """    import os, time
    images, labels = torch.from_numpy(data.images()), torch.from_numpy(data.labels())
    body = [nn.Conv2d(1, 8, 5), nn.ReLU(), nn.AdaptiveMaxPool2d(4), nn.Flatten(), nn.Dropout(0.1)]
    model = nn.Sequential(*body, nn.Linear(128, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=params["rate"])
    begin = run.resume(model=model, optimizer=optimizer)
    (run.folder / "note.txt").write_text("kept")
    for step in range(begin, int(params["steps"])):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.log(step, loss=float(loss.detach()))
        run.checkpoint(step)
        if "HANG_AT" in os.environ and step == int(os.environ["HANG_AT"]):
            time.sleep(600)
    return model
"""


def _set(project: Path, old: str, new: str) -> None:
    path = project / "everloop.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "bars"
    project = write_project(folder, product=product_with(_TRAINING), steps=30)
    _set(project, "steps = 30", "steps = 30\nrate = 0.01")
    _set(project, "[train]\n", '[train]\ncheckpoint = "0s"\n')
    Here(project).run("data", "import", project / "data" / "labelled")
    return project


@pytest.fixture
def here(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Here:
    monkeypatch.setenv("COLUMNS", "200")
    return Here(project, capsys)


def _begin(project: Path, hang_at: int) -> "subprocess.Popen[str]":
    """`everloop train`, whose training stands still once it has checkpointed that step."""
    process = subprocess.Popen(
        [*EVERLOOP, "train", "--project", str(project)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HANG_AT": str(hang_at)},
    )
    kept = f'"checkpoint": {hang_at}'

    def reached() -> bool:
        files = Layout(project).jobs.glob("train-*/usage.json")
        return any(kept in path.read_text() for path in files)

    until(reached, seconds=240, why=f"step {hang_at}")
    return process


def _tracked(project: Path, key: str) -> Any:
    from mlflow import MlflowClient

    database = f"sqlite:///{Layout(project).tracking_database}"
    client = MlflowClient(database, database)
    (experiment,) = client.search_experiments(filter_string="name = 'bars'")
    filtered = f"tags.`everloop.key` = '{key}'"
    (run,) = client.search_runs([experiment.experiment_id], filtered)
    return run


def test_an_interrupted_training_goes_on_and_comes_to_what_it_would_have(
    project: Path, here: Here
) -> None:
    process = _begin(project, hang_at=4)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "goes on from its newest checkpoint" in said
    (run,) = here.told("runs", "list")
    assert (run["status"], run["checkpoint"], run["bundle"]) == ("interrupted", 4, None)
    assert "interrupted after step 4" in here.said("runs", "list")
    marked = _tracked(project, run["key"])
    assert marked.info.status == "KILLED" and marked.data.tags["everloop.status"] == "interrupted"

    # And killed outright in its second life: all that is left is the checkpoint.
    process = _begin(project, hang_at=9)
    process.kill()
    process.communicate()
    _kill_session(_runner(project, run["key"]))
    until(lambda: here.told("runs", "show")["status"] == "interrupted", why="marked")
    trained = here.told("train")
    assert trained["run"] == run["run"]
    assert trained["notes"][-1] == "went on from the checkpoint of step 9"
    shown = here.told("runs", "show", run["run"])
    assert (shown["status"], shown["lives"], shown["checkpoint"]) == ("finished", 3, 29)
    assert [step for step, _ in shown["history"]["loss"]] == list(range(30))
    again = here.told("reproduce", "last")
    assert again["same"] is True
    # Where other tests of this process have loaded Ray, the packages that it brings along are seen.
    assert not [row for row in again["surroundings"] if row["recorded"] != "-"]
    assert [row["what"] for row in again["results"]] == ["model", "loss"]
    assert len(here.told("runs", "list")) == 1, "a reproduction is no run of its own"


def _runner(project: Path, key: str) -> int:
    return int(json.loads((Layout(project).jobs / key / "runner.json").read_text())["pid"])


def _kill_session(leader: int) -> None:
    """Every process of a session, as when a machine goes down."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader and fields[0] != "Z":
                os.kill(int(entry.name), signal.SIGKILL)


def test_the_tracker_has_all_that_the_run_is_made_of(project: Path, here: Here) -> None:
    here.run("evaluate")
    run = here.told("runs", "show", "last")
    tracked = _tracked(project, run["key"])
    tags, data = tracked.data.tags, tracked.data
    assert tracked.info.status == "FINISHED" and tracked.info.run_name == run["run"]
    assert data.params == {"steps": "30", "rate": "0.01"}
    assert data.metrics["loss"] == run["metrics"]["loss"] == run["history"]["loss"][-1][1]
    assert data.metrics["holdout/accuracy"] == run["metrics"]["holdout/accuracy"]
    for cost in ("training_seconds", "core_seconds", "peak_memory_mib"):
        assert data.metrics[cost] == run["metrics"][cost] > 0
    assert tags["everloop.lives"] == "3" and tags["everloop.threads"] == "1"
    assert tags["everloop.hardware.processor"] == run["hardware"]["processor"]
    assert "went on from the checkpoint" in tags["mlflow.note.content"]
    store = opened(project).layout.tracking_artifacts
    kept = {path.relative_to(store).parts[-1] for path in store.rglob("*") if path.is_file()}
    assert {"environment.json", "product.py", "log.txt", "note.txt"} <= kept
    assert run["environment"]["torch"]


def test_a_failed_run_is_recorded_compared_and_drawn_beside_another(
    project: Path, here: Here, tmp_path: Path
) -> None:
    (finished,) = here.told("runs", "list")
    _set(project, "rate = 0.01", "rate = 0.02")
    broken = "    run.log(0, loss=1.0)\n    raise ValueError('no such luck')\n"
    (project / "product.py").write_text(product_with(broken))
    assert "no such luck" in here.refused("train")
    (failed,) = here.told("runs", "list", "--where", "status = failed", "--sort", "loss")
    assert "no such luck" in failed["error"] and failed["metrics"]["core_seconds"] > 0
    tracked = _tracked(project, failed["key"])
    assert tracked.info.status == "FAILED" and "no such luck" in tracked.data.tags["everloop.error"]
    picture = tmp_path / "curves.png"
    names = (finished["run"], failed["run"])
    compared = here.told("runs", "compare", *names, "--plot", picture)
    assert compared["differ"]["param rate"] == dict(zip(names, (0.01, 0.02), strict=True))
    assert "param steps" not in compared["differ"] and "metric loss" in compared["differ"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "same in all" in here.said("runs", "compare", *names)
    assert "processor" in here.said("runs", "show", finished["run"])
    refused = here.refused("runs", "list", "--where", "lost < 1")
    assert "no run has 'lost'" in refused and "params.rate" in refused
    assert "0 runs begin" in here.refused("runs", "show", "zz")
    assert "two different runs" in here.refused("runs", "compare", names[0], names[0])
    refused = here.refused("reproduce", finished["run"])
    assert "code changed" in refused and "product.py" in refused
    assert "only a finished one" in here.refused("reproduce", failed["run"])
