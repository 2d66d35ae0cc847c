"""`python -m everloop.compute.runner FOLDER SECONDS COMMAND...`: one job's guardian.

It locks the folder for as long as it lives, runs the command, ends it and everything it started
when its time is up, and writes `exit.json` at the end. A command ended by a signal from outside
has not come to its end: nothing is written, so that it is started again.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from everloop_runtime.files import write_atomic

_CONSIDERATE = {"GOMP_SPINCOUNT": "1000"}
"""OpenMP's threads wait for each other by spinning, for long by default. On a machine with other
work the one waited for then gets no core: on two cores, with one command run again and again
beside it, an epoch took 4.1 s; with this 1.3 s, and 1.0 instead of 0.98 s on the idle machine."""


def main(arguments: list[str]) -> int:
    """Run one job to its end."""
    folder, seconds, command = Path(arguments[0]), float(arguments[1]), arguments[2:]
    with (folder / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # Another runner has the job.
        sys.stdout.write("locked\n")
        sys.stdout.flush()
        os.close(sys.stdout.fileno())
        if not (folder / "exit.json").exists():
            end = _run(folder, seconds, command, lock.fileno())
            if end is not None:
                write_atomic(folder / "exit.json", json.dumps(end).encode())
    return 0


def _run(
    folder: Path, seconds: float, command: list[str], lock: int
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
                env=_CONSIDERATE | os.environ,
                process_group=0,
                pass_fds=(lock,),
            )
        except OSError as error:
            return {"code": 127, "reason": f"it cannot be started: {error}"}
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        timed_out = process.poll() is None
        _end_group(process.pid)
        code = process.wait()
    if timed_out:
        return {"code": 124, "reason": f"it took longer than its {seconds:g} s and was ended"}
    if code < 0:
        return None
    return {"code": code, "reason": f"it ended with exit code {code}"}


def _end_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
