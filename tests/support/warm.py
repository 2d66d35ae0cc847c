"""Commands in processes of their own that begin warm: with the heavy libraries imported.

A command's first second or two go to importing Lance, pandas, SQLAlchemy and MLflow; a test suite
that runs hundreds of commands would mostly do that. So each test process has a nursery, which
imports them once and forks for each command. What a command does is done by the same code, in a
process of its own, as ever. What a command imports, and how soon it begins, is tested cold.
"""

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

_ROOT = Path(__file__).parent.parent.parent
_LIBRARIES = ("lance", "pandas", "alembic.command", "mlflow", "scipy.stats", "sklearn.metrics")
_OURS = ("everloop.app.assemble", "everloop.loop.observe", "everloop.loop.run", "httpx", "rich")
_LENGTH = 8


class Warm:
    """One command under way: what the tests want of `subprocess.Popen`, for a warm one."""

    def __init__(
        self,
        function: str,
        arguments: Sequence[str],
        out: IO[bytes],
        err: IO[bytes],
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Begin `function` (`module:name`), which reads `sys.argv` and returns its exit code."""
        env = dict(os.environ if env is None else env)
        body = json.dumps([function, list(arguments), env, str(Path.cwd())]).encode()
        self._talk = socket.socket(socket.AF_UNIX)
        self._talk.connect(_nursery()[1])
        handles = [out.fileno(), err.fileno()]
        socket.send_fds(self._talk, [len(body).to_bytes(_LENGTH, "big")], handles)
        self._talk.sendall(body)
        self._lines = self._talk.makefile("rb")
        self.pid = int(self._lines.readline())
        self._code: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, or minus the signal that ended it; `TimeoutExpired` as there."""
        if self._code is None:
            self._talk.settimeout(timeout)
            try:
                self._code = int(self._lines.readline())
            except TimeoutError:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
            self._lines.close()
            self._talk.close()
        return self._code

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        if self._code is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._talk, selectors.EVENT_READ)
                if not selector.select(0):
                    return None
        return self.wait()

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


@cache
def _nursery() -> tuple["subprocess.Popen[bytes]", str]:
    """The nursery of this process, which ends with it, and where it listens."""
    place = str(Path(tempfile.mkdtemp(prefix="everloop-warm-")) / "talk")
    command = [sys.executable, "-m", "tests.support.warm", place]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        # As the product has it; MLflow looks when it is imported.
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    assert process.stdout is not None
    assert process.stdout.read() == b"ready", "no warm processes: run tests.support.warm by hand"
    return process, place


def _keep(place: str) -> None:
    """The nursery's life: fork for whoever connects, and tell how it ended."""
    own = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = [entry for entry in sys.path[1:] if entry not in own]
    for name in (*_LIBRARIES, *_OURS):
        importlib.import_module(name)
    gc.freeze()
    door = socket.socket(socket.AF_UNIX)
    door.bind(place)
    door.listen()
    os.write(1, b"ready")
    os.close(1)
    watched = selectors.DefaultSelector()
    watched.register(door, selectors.EVENT_READ)
    watched.register(0, selectors.EVENT_READ)
    while True:
        for key, _ in watched.select():
            if key.fileobj == 0:
                Path(place).unlink()
                Path(place).parent.rmdir()
                os._exit(0)
            elif key.fileobj is door:
                _begin(door, watched, path)
            else:
                watched.unregister(key.fileobj)
                _tell_end(key.fileobj, *key.data)


def _begin(door: socket.socket, watched: selectors.BaseSelector, path: list[str]) -> None:
    talk, _ = door.accept()
    head, handles, *_ = socket.recv_fds(talk, _LENGTH, 2)
    with talk.makefile("rb") as rest:
        told = json.loads(rest.read(int.from_bytes(head, "big")))
    # Lance warns of forks: where it has done something, a child lacks its threads. Here it has not.
    with warnings.catch_warnings(action="ignore"):
        pid = os.fork()
    if pid == 0:
        for left in (watched, talk, door):
            left.close()
        _become(told, handles, path)
    for handle in handles:
        os.close(handle)
    talk.sendall(b"%d\n" % pid)
    watched.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, talk))


def _tell_end(handle: Any, pid: int, talk: socket.socket) -> None:
    os.close(handle)
    _, status = os.waitpid(pid, 0)
    # Who asked may have given up.
    with talk, suppress(OSError):
        talk.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _become(told: Any, handles: list[int], path: list[str]) -> None:
    """Be the command: all that a process is given when it begins."""
    function, arguments, env, folder = told
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, handle in enumerate(handles, start=1):
        os.dup2(handle, number)
        os.close(handle)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.path[:] = [folder, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep)), *path]
    tempfile.tempdir = None
    time.tzset()
    sys.argv = [function, *arguments]
    # A process that begins has its own output, whatever became of the nursery's.
    sys.stdout, sys.stderr = (os.fdopen(n, "w", closefd=False) for n in (1, 2))
    module, _, name = function.partition(":")
    sys.exit(getattr(importlib.import_module(module), name)())


if __name__ == "__main__":
    _keep(sys.argv[1])
