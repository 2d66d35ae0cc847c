"""Starting prediction services, finding the live one again, and one for a candidate alone."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.errors import EverloopError, Unavailable
from everloop.ids import BundleId
from everloop.layout import Layout
from everloop.policy import BundlePolicy
from everloop.process import started
from everloop_runtime.routes import Routes, write_routes

if TYPE_CHECKING:
    from everloop_runtime.client import Client

_START_SECONDS = 60.0
_STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a running service answers."""

    url: str
    pid: int
    instance: str
    """Made anew at each start, so that a reused port or pid is not mistaken for it."""
    key: str | None = None
    """The control plane's own API key, where the service asks for one."""

    def client(self, timeout: float = 5.0) -> "Client":
        """A client of this service, without retries."""
        from everloop_runtime.client import Client

        return Client(self.url, timeout=timeout, api_key=self.key)


def trust_options(policy: BundlePolicy) -> tuple[str, ...]:
    """What a service's command line says of the keys it is to trust."""
    keys = tuple(option for key in policy.trusted_keys for option in ("--trusted-key", key))
    return (*keys, "--require-signature") if policy.require_signature else keys


def address_file(layout: Layout) -> Path:
    """Where the live service writes its address."""
    return layout.processes / "service.json"


def read_address(path: Path) -> Address | None:
    """The address in a file, if its process is alive; it may still be somebody else's."""
    try:
        told = json.loads(path.read_bytes())
        url, pid, instance = str(told["url"]), int(told["pid"]), str(told["instance"])
        address = Address(url, pid, instance, _own_key(path))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if started(address.pid) is None else address


def _own_key(address: Path) -> str | None:
    try:
        return address.with_suffix(".key").read_text().strip()
    except FileNotFoundError:
        return None


def keep_own_key(layout: Layout, now: float) -> None:
    """See to it that the control plane may ask the service, once there are API keys."""
    from everloop_runtime.keys import add_key

    own = address_file(layout).with_suffix(".key")
    if own.exists():
        return
    own.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(add_key(layout.api_keys, "everloop", now))


def live_service(layout: Layout) -> Address | None:
    """The live service's address, if one answers there and says it is the one."""
    address = read_address(address_file(layout))
    if address is None:
        return None
    try:
        with address.client(timeout=2.0) as client:
            status = client.status()
    except EverloopError:
        return None
    return address if status["instance"] == address.instance else None


def start_service(
    command: tuple[str, ...],
    *,
    routes: Path,
    bundles: Path,
    capture: Path,
    address: Path,
    log: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    detached: bool = False,
    keys: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a service process. `detached`: it outlives this process, as the live one must."""
    address.parent.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    address.unlink(missing_ok=True)
    options = [
        *("--routes", str(routes), "--bundles", str(bundles), "--capture", str(capture)),
        *("--address-file", str(address), "--host", host, "--port", str(port)),
    ]
    if keys is not None:
        options += ["--keys", str(keys)]
    if not detached:
        options.append("--exit-with-parent")
    with log.open("ab") as out:
        return subprocess.Popen(
            [*command, *options],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=detached,
        )


def wait_for_address(
    process: "subprocess.Popen[bytes]", path: Path, log: Path, seconds: float = _START_SECONDS
) -> Address:
    """The address of a service just started; `Unavailable` with its last words if it died."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            words = log.read_text(encoding="utf-8", errors="replace")[-500:]
            raise Unavailable(f"the service ended with code {process.returncode}: {words}")
        address = read_address(path)
        if address is not None:
            return address
        time.sleep(0.05)
    raise Unavailable(f"the service did not listen within {seconds:g} s; see {log}")


def keep_service(layout: Layout, command: tuple[str, ...], host: str, port: int) -> Address:
    """The live service: the one that runs, adopted, or else a new one."""
    running = read_address(address_file(layout))
    if running is not None and live_service(layout) is not None:
        return running
    log = layout.logs / "service.log"
    process = start_service(
        command,
        routes=layout.routes,
        bundles=layout.bundles,
        capture=layout.capture,
        address=address_file(layout),
        log=log,
        host=host,
        port=port,
        detached=True,
        keys=layout.api_keys if layout.api_keys.is_file() else None,
    )
    return wait_for_address(process, address_file(layout), log)


def stop_service(layout: Layout) -> bool:
    """Ask the live service to finish what it is answering and end; whether there was one."""
    running = live_service(layout)
    if running is None:
        return False
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while read_address(address_file(layout)) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    address_file(layout).unlink(missing_ok=True)
    return True


@contextmanager
def candidate_service(
    command: tuple[str, ...], bundle: BundleId, bundles: Path, scratch: Path
) -> Iterator["Client"]:
    """A real service of its own for one candidate, ready to answer; stopped on leaving.

    Raises `Unavailable` when it does not become ready, with the reason it gives.
    """
    routes, address, log = scratch / "routes.json", scratch / "address.json", scratch / "log.txt"
    write_routes(routes, Routes(generation=1, champion=bundle))
    process = start_service(
        command,
        routes=routes,
        bundles=bundles,
        capture=scratch / "capture",
        address=address,
        log=log,
    )
    try:
        # Closed before the service is stopped: it drains its connections first.
        with wait_for_address(process, address, log).client(timeout=30.0) as client:
            client.wait_ready(_START_SECONDS)
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
