"""MLflow's own page over the runs and versions, as a process that outlives its starter."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from everloop.errors import Unavailable
from everloop.process import started
from everloop_runtime.files import write_atomic

_PLACE = "#/experiments?workflowType=machine_learning"
"""Where training runs are; by itself the page opens on agents and their traces."""


class MlflowPage:
    """One `mlflow server` on loopback for a project; found again by its address file."""

    def __init__(
        self, tracking_uri: str, artifacts: Path, *, address: Path, log: Path, port: int
    ) -> None:
        self._tracking_uri = tracking_uri
        self._artifacts = artifacts
        self._address = address
        self._log = log
        self._port = port

    def ensure(self) -> str:
        """The page's URL; started when it does not run. It may need seconds more to answer."""
        running = self._running()
        if running is not None:
            return running[0]
        port = self._port or _free_port()
        if not _is_free(port):
            raise Unavailable(
                f"port {port} is taken by another program; "
                "set [tracking] port to another one, or to 0 for any free one"
            )
        self._log.parent.mkdir(parents=True, exist_ok=True)
        command = [
            *(sys.executable, "-m", "everloop.adapters.mlflow_server"),
            *(self._tracking_uri, str(self._artifacts)),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        ]
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with self._log.open("ab") as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env=environment,
            )
        url = f"http://127.0.0.1:{port}/{_PLACE}"
        told = {"url": url, "pid": process.pid, "started": started(process.pid)}
        write_atomic(self._address, json.dumps(told).encode())
        return url

    def stop(self) -> bool:
        """End the page and what it started; whether it ran."""
        running = self._running()
        if running is None:
            return False
        _, pid = running
        os.killpg(pid, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while self._running() is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        if self._running() is not None:
            os.killpg(pid, signal.SIGKILL)
        self._address.unlink(missing_ok=True)
        return True

    def _running(self) -> tuple[str, int] | None:
        try:
            told = json.loads(self._address.read_bytes())
            url, pid = str(told["url"]), int(told["pid"])
            # A pid is used again after a restart of the machine; its start time is not.
            alive = started(pid) is not None and started(pid) == told["started"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return (url, pid) if alive else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
