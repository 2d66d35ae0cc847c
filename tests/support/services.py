"""The real service as a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from everloop.rollout.service import start_service, wait_for_address
from everloop_runtime.capture import Captured, read_segment, seal_leftovers, sealed_segments
from everloop_runtime.client import Client
from everloop_runtime.routes import Routes, write_routes

COMMAND = (sys.executable, "-m", "everloop_runtime.main")


@dataclass(frozen=True)
class Running:
    """A service under test."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    url: str

    @property
    def bundles(self) -> Path:
        return self.folder / "bundles"

    @property
    def routes(self) -> Path:
        return self.folder / "routes.json"

    @property
    def capture(self) -> Path:
        return self.folder / "capture"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self) -> Client:
        """A client without retries."""
        return Client(self.url, timeout=20)

    def route(self, routes: Routes) -> None:
        """Replace the routes and wait until the service has taken them up."""
        write_routes(self.routes, routes)
        with self.client() as client:
            while client.status()["generation"] != routes.generation:
                pass

    def captured(self) -> list[Captured]:
        """Everything captured so far, the open segment too once its process is gone."""
        seal_leftovers(self.capture)
        return [record for path in sealed_segments(self.capture) for record in read_segment(path)]


@contextmanager
def running_service(
    folder: Path, routes: Routes, *extra: str, ready: bool = True
) -> Iterator[Running]:
    """A service over `folder/bundles`; ended on leaving, if the test has not ended it.

    `extra`: further options of `everloop-serve`.
    """
    (folder / "bundles").mkdir(exist_ok=True)
    write_routes(folder / "routes.json", routes)
    process = start_service(
        (*COMMAND, *extra),
        routes=folder / "routes.json",
        bundles=folder / "bundles",
        capture=folder / "capture",
        address=folder / "address.json",
        log=folder / "log.txt",
    )
    try:
        address = wait_for_address(process, folder / "address.json", folder / "log.txt")
        service = Running(folder, process, address.url)
        if ready:
            with service.client() as client:
                client.wait_ready(30)
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
