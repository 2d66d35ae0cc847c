"""What every `compute.Engine` must do."""

import sys
import time
from datetime import timedelta
from pathlib import Path

from everloop.compute.engine import Engine
from everloop.compute.job import Failed, Job, JobState, Running, Succeeded
from everloop.ids import ActionKey

_LONGEST = 60.0


class EngineContract:
    """Subclass it, override `engine`, and let pytest collect the subclass."""

    def engine(self) -> Engine:
        """A new handle on the engine under test, as a restarted controller would make."""
        raise NotImplementedError

    def test_a_job_that_ends_well_gives_its_result_once(self, tmp_path: Path) -> None:
        job = _job(tmp_path, _COUNT + "open('result.json', 'w').write('{\"n\": 1}')")
        assert self._follow(job) == Succeeded({"n": 1})
        assert self._follow(job) == Succeeded({"n": 1})
        assert (tmp_path / "count").read_text() == "x"

    def test_a_job_that_fails_says_why(self, tmp_path: Path) -> None:
        state = self._follow(_job(tmp_path, "raise ValueError('no such luck')"))
        assert isinstance(state, Failed)
        assert "no such luck" in state.reason

    def test_a_job_that_says_it_is_done_but_left_no_result_has_failed(self, tmp_path: Path) -> None:
        assert isinstance(self._follow(_job(tmp_path, "pass")), Failed)

    def test_a_job_over_its_time_is_ended_with_its_children(self, tmp_path: Path) -> None:
        code = "import subprocess; subprocess.run(['sleep', '600'])"
        state = self._follow(_job(tmp_path, code, seconds=1))
        assert isinstance(state, Failed)
        assert "longer than its 1 s" in state.reason

    def test_asking_twice_runs_it_once(self, tmp_path: Path) -> None:
        code = _COUNT + "import time; time.sleep(1); open('result.json', 'w').write('{}')"
        job = _job(tmp_path, code)
        engines = [self.engine() for _ in range(3)]
        assert [type(engine.ensure(job)) for engine in engines] == [Running] * 3
        assert self._follow(job) == Succeeded({})
        assert (tmp_path / "count").read_text() == "x"

    def _follow(self, job: Job) -> JobState:
        deadline = time.monotonic() + _LONGEST
        while time.monotonic() < deadline:
            state = self.engine().ensure(job)
            if not isinstance(state, Running):
                return state
            time.sleep(0.05)
        raise TimeoutError(f"{job.key} did not end within {_LONGEST:g} s")


_COUNT = "open('count', 'a').write('x');"


def _job(folder: Path, code: str, seconds: float = 50) -> Job:
    command = (sys.executable, "-c", code)
    return Job(ActionKey("contract-1"), command, folder, timedelta(seconds=seconds))
