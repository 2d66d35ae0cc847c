"""The default engine: jobs as processes of this machine that outlive their starter."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from everloop.compute.ends import PROGRESS, another_start, ended
from everloop.compute.job import Job, JobState, Running
from everloop.compute.runner import LOCK, RUNNER
from everloop.process import started

_PATIENCE_S = 10


class LocalEngine:
    """Each job runs under a small runner that holds a lock on the job's folder.

    The lock tells a job that still runs from one that was cut short, also after this process
    was killed and started again.
    """

    def __init__(self) -> None:
        self._runners: list[subprocess.Popen[bytes]] = []

    def ensure(self, job: Job) -> JobState:
        """See `Engine`. A job that was killed is started again, three times in all.

        Starts from which it came further (it wrote the file `progress`) do not count.
        """
        # Looking at those that have ended lets the kernel forget them.
        self._runners = [runner for runner in self._runners if runner.poll() is None]
        job.folder.mkdir(parents=True, exist_ok=True)
        if is_running(job.folder):
            return Running()
        if (state := ended(job.folder)) is not None:
            return state
        if (failed := another_start(job.folder)) is not None:
            return failed
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


def is_running(folder: Path) -> bool:
    """Whether a process of this machine works at the job of a folder."""
    path = folder / LOCK
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            # Shared, so that two who ask do not take each other for the job.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def is_cut_short(folder: Path) -> bool:
    """Whether a job was begun on this machine, did not come to its end, and nobody works at it."""
    begun = (folder / "starts.json").exists()
    return begun and not (folder / "exit.json").exists() and not is_running(folder)


def interrupt(folder: Path) -> bool:
    """End a job without an end, so that it goes on when asked for again; whether it ran.

    Being interrupted on purpose does not count as having been killed.
    """
    try:
        told = json.loads((folder / RUNNER).read_bytes())
    except (OSError, ValueError):
        return False
    pid = int(told["pid"])
    # A pid is used again after a restart of the machine; its start time is not.
    if not is_running(folder) or started(pid) != told["started"]:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE_S
    while is_running(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    if is_cut_short(folder):
        (folder / PROGRESS).touch()
    return True
