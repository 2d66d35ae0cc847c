"""`python -m everloop.compute.runner FOLDER SECONDS COMMAND...`: one job's guardian.

It locks the folder for as long as it lives, runs the command, ends it and everything it started
when its time is up, and writes `exit.json` at the end. A command ended by a signal from outside
has not come to its end: nothing is written, so that it is started again. The same holds when the
guardian itself is told to end (SIGTERM), by which a person interrupts a job.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from everloop.process import started
from everloop_runtime.files import write_atomic

LOCK, RUNNER = "lock", "runner.json"
"""What a guardian holds for as long as the job lives, and which process it is."""
_TRIES, _PAUSE_S = 10, 0.01
_LAST_WORD_S = 0.5

_CONSIDERATE = {"GOMP_SPINCOUNT": "1000"}
"""OpenMP's threads wait for each other by spinning, for long by default. On a machine with other
work the one waited for then gets no core: on two cores, with one command run again and again
beside it, an epoch took 4.1 s; with this 1.3 s, and 1.0 instead of 0.98 s on the idle machine."""


def main(arguments: list[str]) -> int:
    """Run one job to its end."""
    folder, seconds, command = Path(arguments[0]), float(arguments[1]), arguments[2:]
    with (folder / LOCK).open("ab") as lock:
        if not _locked(lock.fileno()):
            return 0  # Another runner has the job.
        me = {"pid": os.getpid(), "started": started(os.getpid())}
        write_atomic(folder / RUNNER, json.dumps(me).encode())
        signal.signal(signal.SIGTERM, _interrupt)
        sys.stdout.write("locked\n")
        sys.stdout.flush()
        os.close(sys.stdout.fileno())
        run_to_end(folder, seconds, command, lock.fileno())
    return 0


def run_to_end(
    folder: Path,
    seconds: float,
    command: Sequence[str],
    lock: int,
    *,
    environment: Mapping[str, str] | None = None,
    prepare: Callable[[], None] | None = None,
) -> None:
    """Run a job, unless it has ended already, and write down how it ended.

    `lock`: the open lock of its folder. `environment`: by default this process's own. `prepare`:
    called in the command's process before it begins.
    """
    if (folder / "exit.json").exists():
        return
    given = os.environ if environment is None else environment
    end = _run(folder, seconds, command, lock, given, prepare)
    if end is not None:
        write_atomic(folder / "exit.json", json.dumps(end).encode())


def _run(
    folder: Path,
    seconds: float,
    command: Sequence[str],
    lock: int,
    environment: Mapping[str, str],
    prepare: Callable[[], None] | None,
) -> dict[str, str | int] | None:
    with (folder / "log.txt").open("ab") as log:
        try:
            # The lock is inherited: while any part of the job lives, it counts as running.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**_CONSIDERATE, **environment},
                process_group=0,
                pass_fds=(lock,),
                preexec_fn=prepare,
            )
        except OSError as error:
            return {"code": 127, "reason": f"it cannot be started: {error}"}
        deadline = time.monotonic() + seconds
        try:
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            timed_out = process.poll() is None
            if timed_out:
                _ask_where(process)
        finally:
            _end_group(process.pid)
        code = process.wait()
    if timed_out:
        return {"code": 124, "reason": f"it took longer than its {seconds:g} s and was ended"}
    if code < 0:
        return None
    return {"code": code, "reason": f"it ended with exit code {code}"}


def _locked(file: int) -> bool:
    for _ in range(_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_PAUSE_S)  # Somebody may only be looking whether it is locked.
    return False


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _ask_where(process: subprocess.Popen[bytes]) -> None:
    """Let a command that hangs say where; most die of the signal, which is as well."""
    process.send_signal(signal.SIGUSR1)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_LAST_WORD_S)


def _end_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
