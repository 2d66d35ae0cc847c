"""A server of a project as a process that outlives its starter, found again by its address file."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from everloop.errors import Unavailable
from everloop.process import started
from everloop_runtime.files import write_atomic

_STOP_SECONDS = 10.0


class PageServer(Protocol):
    """A server with pages for people."""

    def ensure(self) -> str:
        """The pages' URL; the server is started if it does not run."""

    def stop(self) -> bool:
        """End it; whether it ran."""


@dataclass(frozen=True)
class KeptServer:
    """One server process on a port of this machine."""

    address: Path
    """Where its pid and URL are kept."""
    log: Path
    port: int
    """0 takes any free one."""
    setting: str
    """The table of the policy that its port is set in."""
    command: Callable[[int], Sequence[str]]
    """What starts it on a port."""
    url: Callable[[int], str]
    """Where it answers then."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables besides this process's own."""

    def ensure(self) -> str:
        """Its URL; started when it does not run. It may need moments more to answer.

        Raises `Unavailable` when another program has the port.
        """
        running = running_at(self.address)
        if running is not None:
            return running[0]
        port = self.port or _free_port()
        if not _is_free(port):
            raise Unavailable(
                f"port {port} is taken by another program; "
                f"set {self.setting} port to another one, or to 0 for any free one"
            )
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            process = subprocess.Popen(
                list(self.command(port)),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={**os.environ, **self.environment},
            )
        url = self.url(port)
        tell_address(self.address, url, process.pid)
        return url

    def stop(self) -> bool:
        """End it and what it started; whether it ran."""
        running = running_at(self.address)
        if running is None:
            return False
        _, pid = running
        os.killpg(pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while started(pid) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        if started(pid) is not None:
            os.killpg(pid, signal.SIGKILL)
        self.address.unlink(missing_ok=True)
        return True


def running_at(address: Path) -> tuple[str, int] | None:
    """URL and pid of the server that an address file tells of; None when it does not run."""
    try:
        told = json.loads(address.read_bytes())
        url, pid = str(told["url"]), int(told["pid"])
        # A pid is used again after a restart of the machine; its start time is not.
        alive = started(pid) is not None and started(pid) == told["started"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (url, pid) if alive else None


def tell_address(address: Path, url: str, pid: int) -> None:
    """Write where a server of that pid answers."""
    told = {"url": url, "pid": pid, "started": started(pid)}
    write_atomic(address, json.dumps(told).encode())


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
