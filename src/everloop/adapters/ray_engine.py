"""Jobs on a Ray cluster: each runs on one of its nodes, under a guardian that Ray keeps.

All nodes see the project's folder at the same place (a shared file system), and have Everloop
installed; data may lie on S3. Nothing of a job goes through Ray but its command line.
"""

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from everloop.compute.ends import another_start, ended
from everloop.compute.job import Job, JobState, Running
from everloop.errors import Refused, Unavailable
from everloop.policy import Step
from everloop.process import die_with_parent
from everloop_runtime import listening
from everloop_runtime.ids import digest_bytes

_NAMESPACE = "everloop"
_log = logging.getLogger(__name__)
_GIB = 2**30
_SECONDS = 5.0
"""How long the head may take to answer at all."""


class RayEngine:
    """See `Engine`. A job whose node dies is started again on another, three times in all.

    A job's guardian is an actor that has the job's name, and there is one actor of a name in a
    cluster: whoever asks, and however often, one of them runs. It holds the lock on the job's
    folder too, which outlives a node that is cut off and not dead.
    """

    def __init__(self, address: str, resources: Mapping[Step, Mapping[str, float]]) -> None:
        """`resources`: what a job of a kind needs: `cpus`, `gpus`, `memory_gib`, and others by
        the names that the cluster's nodes were started with.

        Raises `Refused` where Ray is not installed, and for an address beyond this machine without
        Ray's token: without it, whoever reaches its ports runs what they like.
        """
        _need_ray()
        if not is_loopback(address) and os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
            raise Refused(
                f"[ray] address {address!r} is beyond this machine, and whoever reaches a Ray "
                "cluster runs any code on it: start the cluster with token authentication, and set "
                "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) here too"
            )
        self._address = address
        self._resources = resources

    def ensure(self, job: Job) -> JobState:
        """See `Engine`. Raises `Unavailable` when the cluster does not answer."""
        job.folder.mkdir(parents=True, exist_ok=True)
        if (state := ended(job.folder)) is not None:
            return state
        with _translated(self._address):
            ray = self._connected()
            name = _name(job)
            if _is_known(ray, name):
                return Running()
            # It may have ended between the two looks.
            if (state := ended(job.folder)) is not None:
                return state
            if (failed := another_start(job.folder)) is not None:
                return failed
            self._start(ray, name, job)
        return Running()

    def _start(self, ray: Any, name: str, job: Job) -> None:
        kind = job.key.partition("-")[0]
        wanted = next((dict(told) for name, told in self._resources.items() if name == kind), {})
        options: dict[str, Any] = {
            "num_cpus": wanted.pop("cpus", 1),
            "num_gpus": wanted.pop("gpus", 0),
        }
        if memory := wanted.pop("memory_gib", None):
            options["memory"] = round(memory * _GIB)
        guardian = ray.remote(Guardian).options(
            name=name,
            namespace=_NAMESPACE,
            lifetime="detached",
            max_restarts=0,
            resources=wanted,
            **options,
        )
        try:
            guardian.remote(
                str(job.folder), job.timeout.total_seconds(), list(job.command), sys.executable
            )
        except ValueError:
            # Another controller was quicker: the name is taken.
            return

    def _connected(self) -> Any:
        import ray

        if not ray.is_initialized():
            _reach(self._address)
            # Ray ends its driver on SIGTERM in its own way; this program has its own.
            kept = signal.getsignal(signal.SIGTERM)
            ray.init(
                address=self._address,
                namespace=_NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
            )
            _restore(kept)
            # Ray prints what its nodes report on standard output, which is the command's own.
            ray._private.worker.print_to_stdstream = _log_reports
        return ray


def _reach(address: str) -> None:
    """Raise `OSError` where nobody listens: Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS).close()
    if is_loopback(address):
        from ray._private import ray_constants

        # Ray takes a loopback address for the machine's own one, where a cluster that is bound to
        # loopback does not listen. This is its own switch for machines without a network.
        ray_constants.ENABLE_RAY_CLUSTER = False


def _log_reports(data: Any, ignore_prefix: bool) -> None:  # noqa: ARG001 - Ray calls it
    for line in data["lines"]:
        _log.info("the Ray cluster reports: %s", line)


class Guardian:
    """The actor: it runs the job to its end, writes that down, and is gone."""

    def __init__(self, folder: str, seconds: float, command: list[str], python: str) -> None:
        from threading import Thread

        # In a thread: an actor that is being made cannot be found broken.
        work = (Path(folder), seconds, [sys.executable if p == python else p for p in command])
        Thread(target=_guard, args=work, daemon=True).start()


def _guard(folder: Path, seconds: float, command: list[str]) -> None:
    import fcntl

    from everloop.compute.runner import LOCK, run_to_end

    code = 1
    try:
        with (folder / LOCK).open("ab") as lock:
            # A guardian on a node that was cut off may live still: it ends first.
            fcntl.flock(lock, fcntl.LOCK_EX)
            run_to_end(
                folder,
                seconds,
                command,
                lock.fileno(),
                environment=_environment(),
                # A node that dies takes its jobs along: they are started again elsewhere.
                prepare=die_with_parent,
            )
        code = 0
    finally:
        # The actor has no other work, and its name is free from now on.
        os._exit(code)


def _environment() -> dict[str, str]:
    """This node's, without what Ray puts there for its own workers."""
    # Ray holds every worker to one thread; how many a training has is the policy's.
    return {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}


def is_loopback(address: str) -> bool:
    """Whether an address such as `127.0.0.1:6379` or `ray://localhost:10001` is this machine's.

    >>> is_loopback("127.0.0.1:6379"), is_loopback("ray://[::1]:10001"), is_loopback("auto")
    (True, True, False)
    """
    return listening.is_loopback(address.rpartition("://")[2].rpartition(":")[0].strip("[]"))


def _name(job: Job) -> str:
    """One name a job and project: two products may have trainings of the same inputs."""
    return f"{job.key}@{digest_bytes(str(job.folder).encode())[:16]}"


def _is_known(ray: Any, name: str) -> bool:
    try:
        ray.get_actor(name, namespace=_NAMESPACE)
    except ValueError:
        return False
    return True


def _need_ray() -> None:
    import importlib.util

    if importlib.util.find_spec("ray") is None:
        raise Refused("compute = \"ray\" wants Ray: pip install 'everloop[ray]'")


def _restore(handler: Any) -> None:
    import threading

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def _translated(address: str) -> Iterator[None]:
    import ray
    from ray.exceptions import AuthenticationError, RayError

    try:
        yield
    except AuthenticationError as error:
        raise Refused(f"the Ray cluster at {address} did not take the token: {error}") from error
    except (RayError, OSError) as error:
        # The next look connects anew.
        ray.shutdown()
        raise Unavailable(f"the Ray cluster at {address} did not answer: {error}") from error
