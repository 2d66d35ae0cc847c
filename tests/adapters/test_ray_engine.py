"""The Ray engine: the contract, and a node that dies in the middle, on a real cluster of two."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.projects import EVERLOOP, told, until
from tests.support.ray_cluster import TwoNodes, two_nodes
from tests.support.table_project import PRODUCT, write_table_project

pytest.importorskip("ray", reason="the extra ray is not installed")

from everloop.adapters.ray_engine import RayEngine, is_loopback
from everloop.compute.engine import Engine
from everloop.compute.job import Job, Running, Succeeded
from everloop.errors import Refused
from everloop.ids import ActionKey
from everloop.testing.engine import EngineContract

LOOPBACK = "0100007F"
"""127.0.0.1, and the end of it as an IPv6 address."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    from ray._private.authentication_test_utils import authentication_env_guard as guard
    from ray._private.authentication_test_utils import reset_auth_token_state

    with two_nodes() as running, guard():
        os.environ.update(running.environment)
        reset_auth_token_state()
        try:
            yield running
        finally:
            import ray

            ray.shutdown()
    reset_auth_token_state()


class TestRayEngine(EngineContract):
    @pytest.fixture(autouse=True)
    def _cluster(self, cluster: TwoNodes) -> None:
        self.address = cluster.address

    def engine(self) -> Engine:
        return RayEngine(self.address, {})


_COUNTED = """
import os, pathlib, time
open("starts", "a").write("x")
pathlib.Path("pid").write_text(str(os.getpid()))
while not os.path.exists("go"):
    time.sleep(0.05)
open("ends", "a").write("x")
open("result.json", "w").write("{}")
"""


def test_a_job_whose_node_dies_is_done_on_another(cluster: TwoNodes, tmp_path: Path) -> None:
    command = (sys.executable, "-c", _COUNTED)
    job = Job(ActionKey("train-1"), command, tmp_path, timedelta(seconds=300))
    assert RayEngine(cluster.address, {"train": {"second": 1}}).ensure(job) == Running()
    engine = RayEngine(cluster.address, {})
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), why="a start")
    pid = int((tmp_path / "pid").read_text())
    cluster.kill_second()
    try:
        until(lambda: not Path(f"/proc/{pid}").exists(), why="the job to die with its node")
        until(lambda: engine.ensure(job) == Running() and _starts(tmp_path) == "xx", why="again")
        (tmp_path / "go").touch()
        until(lambda: isinstance(engine.ensure(job), Succeeded), why="the end")
    finally:
        cluster.another()
    assert (tmp_path / "ends").read_text() == "x"
    assert json.loads((tmp_path / "starts.json").read_bytes()) == 2


def _starts(folder: Path) -> str:
    return (folder / "starts").read_text()


def test_a_cluster_bound_to_loopback_listens_nowhere_else(cluster: TwoNodes) -> None:
    found = cluster.listens_on()
    assert found and all(host.endswith(LOOPBACK) for host in found)


def test_a_study_loses_a_node_and_nothing_else(cluster: TwoNodes, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    code = PRODUCT.replace("Float(0.001, 10.0, log=True)", "Choice(0.1, 0.2, 0.4, 0.8)")
    code = code.replace('"good", "raise", "nan", "kill"', '"good", "wait"').replace(
        'if kind == "hang":',
        "(run.folder / kind).touch()\n"
        '    while kind == "wait" and not Path(GO).exists(): time.sleep(0.05)\n'
        "    if 0:",
    )
    project = write_table_project(tmp_path / "busy", f"GO = {str(tmp_path / 'go')!r}\n" + code)
    settings = (project / "everloop.toml").read_text()
    # A worker takes a whole node, so each of the two has one.
    there = f"""compute = "ray"
[ray]
address = "{cluster.address}"
resources = {{ tune = {{ cpus = 2 }} }}
[data]"""
    (project / "everloop.toml").write_text(settings.replace("[data]", there, 1))
    command = [*EVERLOOP, "tune", "--sampler", "grid", "--pruner", "none", "--workers", "2"]
    tuning = subprocess.Popen(
        [*command, "--json", "--project", str(project)], stdout=subprocess.PIPE, text=True
    )
    studies = project / ".everloop" / "studies"
    waits = "*/trials/*/artifacts/wait"
    until(lambda: len([*studies.glob(waits)]) >= 2, why="both workers to wait in a trial")
    cluster.kill_second()
    (tmp_path / "go").touch()
    try:
        out, _ = tuning.communicate(timeout=300)
    finally:
        tuning.kill()
        cluster.another()
    found = json.loads(out)
    assert (found["trials"], found["complete"], found["failed"]) == (8, 8, 0)
    from everloop.tuning.plan import read_plan
    from everloop.tuning.results import tried
    from everloop.tuning.study import Study

    folder = studies / found["study"]
    every = tried(Study(folder, read_plan(folder)))
    assert len({json.dumps(dict(one.params)) for one in every}) == 8
    assert told(project, "train")["train"] > 200


def test_a_cluster_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ASKS, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "RAY_raylet_start_wait_time_s": "2"},
    )
    assert "Unavailable the Ray cluster at 127.0.0.1:9 did not answer" in done.stdout, done.stderr


_ASKS = """
import sys
from pathlib import Path
from datetime import timedelta
from everloop.adapters.ray_engine import RayEngine
from everloop.compute.job import Job
try:
    RayEngine("127.0.0.1:9", {}).ensure(Job("a-1", ("true",), Path(sys.argv[1]), timedelta(1)))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("address", ["ray://ray.example:10001", "10.0.0.7:6379", "auto"])
def test_a_cluster_beyond_this_machine_must_ask_for_a_token(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    assert not is_loopback(address)
    with pytest.raises(Refused, match="RAY_AUTH_MODE=token"):
        RayEngine(address, {})
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    RayEngine(address, {})


def test_without_ray_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    def nothing(_name: str) -> Any:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", nothing)
    with pytest.raises(Refused, match=r"pip install 'everloop\[ray\]'"):
        RayEngine("127.0.0.1:6379", {})
