"""The default engine: jobs as processes of this machine that outlive their starter."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path

from everloop.compute.job import Failed, Job, JobState, Running, Succeeded
from everloop_runtime.files import write_atomic

_MOST_STARTS = 3


class LocalEngine:
    """Each job runs under a small runner that holds a lock on the job's folder.

    The lock tells a job that still runs from one that was cut short, also after this process
    was killed and started again.
    """

    def __init__(self) -> None:
        self._runners: list[subprocess.Popen[bytes]] = []

    def ensure(self, job: Job) -> JobState:
        """See `Engine`. A job that was killed is started again, three times in all."""
        # Looking at those that have ended lets the kernel forget them.
        self._runners = [runner for runner in self._runners if runner.poll() is None]
        job.folder.mkdir(parents=True, exist_ok=True)
        if _is_locked(job.folder):
            return Running()
        ended = job.folder / "exit.json"
        if ended.exists():
            return _read_end(job.folder, json.loads(ended.read_bytes()))
        starts = _starts(job.folder)
        if starts >= _MOST_STARTS:
            return Failed(
                f"was killed {starts} times before its end (the machine may have run out of "
                f"memory); {_last_words(job.folder)}"
            )
        write_atomic(job.folder / "starts.json", json.dumps(starts + 1).encode())
        self._start(job)
        return Running()

    def _start(self, job: Job) -> None:
        seconds = str(job.timeout.total_seconds())
        runner = [sys.executable, "-m", "everloop.compute.runner", str(job.folder), seconds]
        process = subprocess.Popen(
            [*runner, *job.command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._runners.append(process)
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        with process.stdout as said:
            # It says so once it holds the lock: a second `ensure` must see that.
            said.readline()


def _is_locked(folder: Path) -> bool:
    with (folder / "lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _starts(folder: Path) -> int:
    try:
        return int(json.loads((folder / "starts.json").read_bytes()))
    except FileNotFoundError:
        return 0


def _read_end(folder: Path, end: dict[str, str | int]) -> JobState:
    result = folder / "result.json"
    if end["code"] == 0 and result.exists():
        return Succeeded(json.loads(result.read_bytes()))
    failure = folder / "failure.json"
    if failure.exists():
        return Failed(str(json.loads(failure.read_bytes())["error"]))
    return Failed(f"{end['reason']}; {_last_words(folder)}")


def _last_words(folder: Path, most: int = 400) -> str:
    log = folder / "log.txt"
    if not log.exists():
        return "it said nothing"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"its last words: {' | '.join(lines[-3:])[-most:]}" if lines else "it said nothing"
