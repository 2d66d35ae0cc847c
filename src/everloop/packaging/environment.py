"""The runtime and what it depends on, copied from this environment into a folder.

So a container runs the very versions that the bundle was checked with here, and building it needs
no package index.
"""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from everloop.errors import Refused
from everloop.packaging.wheels import RUNTIME, runtime_wheel

_NOT_NEEDED = ("__pycache__",)
_HOME = "/opt/everloop/lib"
"""Where it will lie in the image: tracebacks name it."""


def closure(name: str) -> list[str]:
    """The distribution and all it depends on here, in order; extras are left out."""
    from packaging.requirements import Requirement

    found: list[str] = []
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        found.append(current)
        try:
            requires = importlib.metadata.requires(current) or []
        except importlib.metadata.PackageNotFoundError as error:
            raise Refused(f"{current} is not installed here, and {name} depends on it") from error
        for text in requires:
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                waiting.append(wanted.name.lower())
    return sorted(found)


def copy_environment(target: Path) -> None:
    """Copy the runtime and its dependencies into `target`, compiled for this Python.

    Raises `Refused` on systems whose files do not run in a Linux container.
    """
    if sys.platform != "linux":
        raise Refused(f"an image is packed on Linux; this is {platform.system()}")
    for name in closure(RUNTIME):
        if name != RUNTIME:
            _copy_distribution(name, target)
    for place, data in runtime_wheel().files.items():
        path = target / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    _describe_runtime(target)
    _compile(target)


def _copy_distribution(name: str, target: Path) -> None:
    distribution = importlib.metadata.distribution(name)
    for source, place in _files(distribution):
        path = target / place
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)


def _files(distribution: importlib.metadata.Distribution) -> Iterator[tuple[Path, PurePosixPath]]:
    for file in distribution.files or []:
        source = Path(str(distribution.locate_file(file)))
        # Programs lie outside the library; compiled files are made again, the same each time.
        if ".." in file.parts or any(part in _NOT_NEEDED for part in file.parts):
            continue
        if source.is_file() and file.name not in {"direct_url.json", "INSTALLER", "REQUESTED"}:
            yield source, file


def _describe_runtime(target: Path) -> None:
    """What tells the runtime its own version."""
    wheel = runtime_wheel()
    place = target / f"everloop_runtime-{wheel.version}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(wheel.metadata, encoding="utf-8")


def _compile(target: Path) -> None:
    """Compiled beforehand: the container's file system cannot be written to."""
    settings = {"PYTHONHASHSEED": "0", "PATH": os.environ.get("PATH", "")}
    # One after the other: what a compiled file holds may depend on what was compiled before it.
    command = [sys.executable, "-m", "compileall", "-q", "-j", "1"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", str(target), "-p", _HOME]
    # Some packages ship templates that are not Python; they are left as they are.
    subprocess.run([*command, str(target)], env=settings, check=False, stdout=subprocess.DEVNULL)
