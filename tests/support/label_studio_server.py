"""A real Label Studio server from an environment of its own, for as long as a block lasts."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

USER, PASSWORD, TOKEN = (
    "ann@example.org",
    "correct horse",
    "0123456789abcdef0123456789abcdef01234567",
)
_PATIENCE = 900.0


def label_studio() -> Path | None:
    """The program, by the environment variable EVERLOOP_LABEL_STUDIO (a virtual environment's
    folder) or on the path; None where there is none."""
    folder = os.environ.get("EVERLOOP_LABEL_STUDIO")
    if folder:
        return Path(folder) / "bin" / "label-studio"
    found = shutil.which("label-studio")
    return None if found is None else Path(found)


def missing_label_studio() -> str | None:
    """Why tests against a real server are skipped; None where one is installed."""
    program = label_studio()
    if program is not None and program.exists():
        return None
    return (
        "no Label Studio is installed: python3 -m venv DIR && DIR/bin/pip install label-studio, "
        "and EVERLOOP_LABEL_STUDIO=DIR"
    )


@dataclass(frozen=True)
class Server:
    """A server that answers, and its first user's token."""

    url: str
    token: str

    def client(self) -> httpx.Client:
        """What that user may do."""
        headers = {"Authorization": f"Token {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)


@contextmanager
def label_studio_server(folder: Path) -> Iterator[Server]:
    """One on a free port, with an empty database in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder / "data"),
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        # It calls no loopback address otherwise, where the pages of a test are.
        "SSRF_PROTECTION_ENABLED": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }
    command = [
        str(label_studio()), "start", "--no-browser", "--port", str(port),
        "--internal-host", "127.0.0.1", "--username", USER, "--password", PASSWORD,
        "--user-token", TOKEN, "--enable-legacy-api-token",
    ]  # fmt: skip
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
    try:
        _wait(url, process, folder / "server.log")
        yield Server(url, TOKEN)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200:
                return
        time.sleep(0.5)
    raise AssertionError(f"Label Studio did not start: {log.read_text()[-3000:]}")
