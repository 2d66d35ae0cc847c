"""Podman as Debian has it, run as root, and a base image with Python made by mmdebstrap."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

_SETTINGS = """
[containers]
default_ulimits = ["nofile=16384:16384", "nproc=16384:16384"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
PROGRAMS = ("podman", "runc", "mmdebstrap")
BASE = "localhost/everloop-test-base:latest"
_SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}
"""Which Debian has which Python."""


def why_no_containers() -> str | None:
    """Why images cannot be built and run here; None when they can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (.ci/run installs them)"
    if os.geteuid() != 0:
        return "containers are run as root here"
    if sys.version_info[:2] not in _SUITES:
        return f"no Debian has Python {sys.version_info.major}.{sys.version_info.minor}"
    return None


def settings(folder: Path) -> dict[str, str]:
    """The environment in which podman runs as the tests need it."""
    path = folder / "containers.conf"
    path.write_text(_SETTINGS)
    return {**os.environ, "CONTAINERS_CONF": str(path)}


def podman(environment: dict[str, str], *arguments: str, seconds: float = 300) -> str:
    """What a podman command prints; it must succeed."""
    done = subprocess.run(
        ["podman", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def make_base(environment: dict[str, str], folder: Path) -> str:
    """The smallest Debian with Python, as an image; kept for the next time."""
    found = subprocess.run(["podman", "image", "exists", BASE], env=environment, check=False)
    if found.returncode != 0:
        archive = folder / "base.tar"
        suite = _SUITES[sys.version_info.major, sys.version_info.minor]
        command = ["mmdebstrap", "--variant=minbase", "--include=python3", suite, str(archive)]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
        podman(environment, "import", str(archive), BASE)
        archive.unlink()
    return BASE
