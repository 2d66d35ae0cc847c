"""One trial in a process of its own, forked from a worker that has the data and the code loaded.

So a trial costs no start of Python and no reading of data, and one that is killed, hangs or takes
all the memory ends alone.
"""

import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from everloop.data.training_data import SnapshotSide
from everloop.errors import EverloopError
from everloop.process import die_with_parent
from everloop.product import Product
from everloop.tasks.task import Learnable
from everloop.training.attempt import Attempt, run_training
from everloop.training.limits import limit_memory, line_reached, tell_stack
from everloop.tuning.judging import metrics_of

_LOOK = 0.2
"""Seconds between two looks at whether a trial is still wanted."""
_TOO_LONG: dict[str, Any] = {"error": "too long"}
_FIRST_TO_GO = b"1000"
_JUDGING = frozenset({"joblib", "pycocotools", "scipy", "sklearn", "threadpoolctl"})


@dataclass(frozen=True, slots=True)
class Work:
    """What every trial of a study shares."""

    product: Product
    task: Learnable
    learn: SnapshotSide
    judge: SnapshotSide
    """The part of the training side that trials are judged on."""
    project: Path
    seed: int
    threads: int
    seconds: float
    """A trial that takes longer is ended."""
    memory: float
    """The share of the machine's memory that a trial may have; 0: all there is."""
    watch: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a trial."""

    state: str
    """`complete`, `pruned`, `failed`; `stopped` when it was not wanted any more."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    seconds: float = 0.0
    core_seconds: float = 0.0
    memory_mib: float = 0.0


class _Weak(BaseException):
    """The trial is ended early. Not an `Exception`: the user's code shall not catch it."""


class _Told(Attempt):
    """The `Run` of a trial: what is watched is also told to the worker."""

    def __init__(self, folder: Path, work: Work, line: Connection) -> None:
        super().__init__(folder, work.seed)
        self._watch, self._line = work.watch, line

    def log(self, step: int, **metrics: float) -> None:
        """Record figures of one step; a weak trial ends here."""
        super().log(step, **metrics)
        if self._watch is not None and self._watch in metrics:
            _send(self._line, {"step": int(step), "value": float(metrics[self._watch])})
            if not json.loads(self._line.recv_bytes()):
                raise _Weak


def attempt(
    work: Work,
    params: Mapping[str, Any],
    folder: Path,
    *,
    go_on: Callable[[int, float], bool],
    is_wanted: Callable[[], bool],
) -> Ended:
    """Train and judge once, with `params`; figures and the run's own files go to `folder`.

    `go_on` is told each step and figure of what is watched. A trial that raises, gives no number,
    takes too long or is killed has failed, with the reason; nothing is raised for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ours, theirs = get_context("fork").Pipe()
    used, began = _children_cores(), time.monotonic()
    child = get_context("fork").Process(target=_try, args=(work, params, folder, theirs, ours))
    # What is printed but not yet written would be written twice.
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # Lance warns of forks: the child reads nothing from it, its data are there.
        warnings.simplefilter("ignore", UserWarning)
        child.start()
    theirs.close()
    said: dict[str, Any] | None = None
    try:
        said = _listen(ours, began + work.seconds, go_on, is_wanted)
        if said == _TOO_LONG:
            said = {"error": _where(work, folder, child.pid)}
    finally:
        if said is None or "error" in said:
            child.kill()
        child.join()
        _end_what_it_started(child.pid)
        ours.close()
    told = said or {"error": _why_dead(child.exitcode)}
    _load(told.get("imported", ()))
    return Ended(
        told.get("state", "failed"),
        told.get("metrics", {}),
        told.get("error"),
        time.monotonic() - began,
        _children_cores() - used,
        told.get("memory_mib", 0.0),
    )


def _load(modules: Iterable[str]) -> None:
    """Import what a trial imported on its way, so that those after it find it done.

    PyTorch's optimizers, for one, load a compiler when the first of them is made: 1.5 s.
    """
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001, S112 - a trial that needs it meets the same, and tells
            continue


def _listen(
    line: Connection,
    deadline: float,
    go_on: Callable[[int, float], bool],
    is_wanted: Callable[[], bool],
) -> dict[str, Any] | None:
    """What the trial said at its end; None when it died."""
    while True:
        if not line.poll(_LOOK):
            if not is_wanted():
                return {"state": "stopped", "error": "it was stopped"}
            if time.monotonic() > deadline:
                return _TOO_LONG
            continue
        try:
            said: dict[str, Any] = json.loads(line.recv_bytes())
        except (EOFError, ConnectionResetError):
            return None
        if "step" not in said:
            return said
        _send(line, go_on(said["step"], said["value"]))


def _where(work: Work, folder: Path, process: int | None) -> str:
    """What is said of a trial that takes too long: the user's line that it is in, if it tells."""
    if process is not None:
        os.kill(process, signal.SIGUSR1)
        time.sleep(_LOOK)
    line = line_reached(folder, work.project)
    told = f"it took longer than the {work.seconds:g} s of [train] timeout and was ended"
    return told if line is None else f"{line}: {told}"


def _why_dead(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"its process was ended by {name} (the machine may have run out of memory)"
    return f"its process ended with exit code {code} before the training function returned"


def _try(
    work: Work, params: Mapping[str, Any], folder: Path, line: Connection, parents: Connection
) -> None:
    """The child: it says how it ended, and nothing of the worker's clean-up runs in it."""
    parents.close()
    code = 1
    try:
        _alone()
        tell_stack(folder)
        limit_memory(work.memory)
        _send(line, _outcome(work, params, folder, line))
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is ends this process, and is in the log
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _outcome(
    work: Work, params: Mapping[str, Any], folder: Path, line: Connection
) -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    # The worker was held to one thread, since threads do not survive a fork. The first is for
    # libraries that are loaded from here on, the second for those that are there.
    os.environ["OMP_NUM_THREADS"] = str(work.threads)
    threadpool_limits(work.threads)
    there, told = set(sys.modules), dict[str, Any]()
    try:
        model = run_training(
            work.product,
            work.learn,
            params,
            _Told(folder, work, line),
            threads=work.threads,
            project=work.project,
        )
        told = {
            "state": "complete",
            "metrics": metrics_of(model, work.learn, work.judge, work.task),
        }
    except _Weak:
        told = {"state": "pruned"}
    except EverloopError as error:
        told = {"state": "failed", "error": str(error)}
    except MemoryError:
        told = {"state": "failed", "error": "it ran out of memory when it was judged"}
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # Of libraries that the worker has anyway, or that judging takes: no other for one trial's sake.
    known = _JUDGING | {name.partition(".")[0] for name in there}
    new = [name for name in sys.modules if name not in there]
    imported = [name for name in new if name.partition(".")[0] in known]
    return {**told, "memory_mib": used, "imported": imported}


def _alone() -> None:
    """A group of its own, that dies with the worker and goes first when memory runs out."""
    os.setpgid(0, 0)
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Path("/proc/self/oom_score_adj").write_bytes(_FIRST_TO_GO)


def _end_what_it_started(group: int | None) -> None:
    if group is None:
        return
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _children_cores() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _send(line: Connection, value: Any) -> None:
    line.send_bytes(json.dumps(value).encode())
