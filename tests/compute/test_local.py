"""The local engine: the contract, and jobs that outlive their starter or are cut short."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from everloop.compute.engine import Engine
from everloop.compute.job import Failed, Job, Running, Succeeded
from everloop.compute.local import LocalEngine
from everloop.ids import ActionKey
from everloop.testing.engine import EngineContract


class TestLocalEngine(EngineContract):
    def engine(self) -> Engine:
        return LocalEngine()


def _job(folder: Path, code: str) -> Job:
    command = (sys.executable, "-c", code)
    return Job(ActionKey("job-1"), command, folder, timedelta(seconds=50))


def _wait(path: Path) -> str:
    while not path.exists() or not path.read_text():
        time.sleep(0.02)
    return path.read_text()


_TELLS_PID = "import os; f = open('pid', 'w'); f.write(str(os.getpid())); f.close();"


def test_a_job_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    code = _TELLS_PID + "import time; time.sleep(1.5); open('result.json', 'w').write('{}')"
    starter = f"""
from tests.compute.test_local import _job
from everloop.compute.local import LocalEngine
from pathlib import Path
import time
LocalEngine().ensure(_job(Path({str(tmp_path)!r}), {code!r}))
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", starter])
    _wait(tmp_path / "pid")
    parent.kill()
    parent.wait()
    job = _job(tmp_path, code)
    assert LocalEngine().ensure(job) == Running()
    while isinstance(state := LocalEngine().ensure(job), Running):
        time.sleep(0.05)
    assert state == Succeeded({})
    assert json.loads((tmp_path / "starts.json").read_text()) == 1


@pytest.mark.parametrize("with_runner", [True, False], ids=["job and runner", "job only"])
def test_a_job_that_was_killed_is_started_again_but_not_for_ever(
    tmp_path: Path, with_runner: bool
) -> None:
    job = _job(tmp_path, _TELLS_PID + "import time; time.sleep(600)")
    for _ in range(3):
        assert LocalEngine().ensure(job) == Running()
        pid = int(_wait(tmp_path / "pid"))
        runner = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        (tmp_path / "pid").unlink()
        for victim in (runner, pid) if with_runner else (pid,):
            os.kill(victim, signal.SIGKILL)
        while _alive(runner) or _alive(pid):
            time.sleep(0.02)
    state = LocalEngine().ensure(job)
    assert isinstance(state, Failed)
    assert "killed 3 times" in state.reason


def test_nothing_is_left_of_a_job_that_ended(tmp_path: Path) -> None:
    engine = LocalEngine()
    job = _job(tmp_path, "open('result.json', 'w').write('{}')")
    while isinstance(engine.ensure(job), Running):
        time.sleep(0.05)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert engine.ensure(job) == Succeeded({})
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        if not [pid for pid in children.read_text().split() if not _alive(int(pid))]:
            return
        time.sleep(0.05)
    raise AssertionError("a zombie is left")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(("said", "found"), [(None, "1000"), ("7", "7")])
def test_threads_of_a_job_do_not_spin_long_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, found: str
) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    if said is not None:
        monkeypatch.setenv("GOMP_SPINCOUNT", said)
    code = "import json, os; told = {'spins': os.environ['GOMP_SPINCOUNT']};"
    job = _job(tmp_path, code + "open('result.json', 'w').write(json.dumps(told))")
    while isinstance(state := LocalEngine().ensure(job), Running):
        time.sleep(0.05)
    assert state == Succeeded({"spins": found})
