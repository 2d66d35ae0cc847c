"""Several processes that serve on one socket, and the one that keeps them alive."""

import contextlib
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from everloop_runtime.accepting import Crowd
from everloop_runtime.board import Board

_PAUSE = 1.0
"""Seconds before a worker that died is started anew."""
_LOOK = 0.05
_STOP_SECONDS = 40.0

_log = logging.getLogger(__name__)


class Supervisor:
    """Starts workers, starts anew who dies, passes a stop on and waits for the last answer."""

    def __init__(self, workers: int, work: Callable[[Board, int], int]) -> None:
        """`work(board, parent)` is run in each worker's process and gives its exit code.

        `parent` is the end of a pipe that is closed when this process is gone.
        """
        self._workers = workers
        self._work = work
        self._crowd = Crowd(workers)
        self._slots: dict[int, int] = {}
        self._due: dict[int, float] = {}
        self._stopping = False

    def run(self, started: Callable[[], None], gone: Callable[[], bool]) -> int:
        """Serve until a signal ends it; the exit code is the worst of the workers'.

        `started` is called once every worker has loaded what the routes name; `gone` tells
        whether the process that this one is for has ended.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        reading, writing = os.pipe()
        os.set_inheritable(writing, False)
        with tempfile.TemporaryDirectory(prefix="everloop-serve-") as folder:
            for slot in range(self._workers):
                self._start(slot, Path(folder), reading, writing)
            waiting = True
            while not self._stopping and not gone():
                self._revive(Path(folder), reading, writing)
                if waiting and self._all_told(Path(folder)):
                    waiting = False
                    started()
                time.sleep(_LOOK)
            return self._end()

    def _all_told(self, folder: Path) -> bool:
        board = Board(folder, -1, self._workers)
        return all(state is not None for state in board.others())

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _start(self, slot: int, folder: Path, reading: int, writing: int) -> None:
        child = os.fork()
        if child:
            self._slots[child] = slot
            return
        # From here on this is the worker; it must not come back into its parent's code.
        code = 1
        try:
            os.close(writing)
            code = self._work(Board(folder, slot, self._workers, self._crowd), reading)
        except BaseException:
            _log.exception("a worker broke")
            raise
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _revive(self, folder: Path, reading: int, writing: int) -> None:
        for child, slot in list(self._slots.items()):
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                del self._slots[child]
                self._crowd.leave(slot)
                code = os.waitstatus_to_exitcode(status)
                _log.error("worker %d ended with code %d; it is started anew", slot, code)
                self._due[slot] = time.monotonic() + _PAUSE
        for slot, due in list(self._due.items()):
            if time.monotonic() >= due:
                del self._due[slot]
                self._start(slot, folder, reading, writing)

    def _end(self) -> int:
        for child in self._slots:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        end, codes = time.monotonic() + _STOP_SECONDS, [0]
        while self._slots:
            for child in list(self._slots):
                found, status = os.waitpid(child, os.WNOHANG)
                if found:
                    del self._slots[child]
                    codes.append(abs(os.waitstatus_to_exitcode(status)))
                elif time.monotonic() > end:
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.01)
        return max(codes)
