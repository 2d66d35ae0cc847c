"""A virtual environment with nothing but what a wheel's own dependencies bring."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

from everloop.packaging.environment import closure
from everloop.packaging.wheels import RUNTIME


def bare_environment(folder: Path, *wheels: Path) -> Path:
    """The Python of a new environment in `folder` in which `wheels` were installed by pip.

    No index is asked: the runtime's dependencies are linked from this environment, and only they.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    linked = folder / "dependencies"
    linked.mkdir()
    for name in closure(RUNTIME):
        if name != RUNTIME:
            _link(name, linked)
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(f"{linked}\n")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"),
            *("--no-index", "--disable-pip-version-check", *map(str, wheels)),
        ],
        check=True,
        env={"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull},
    )
    return python


def _link(name: str, folder: Path) -> None:
    distribution = importlib.metadata.distribution(name)
    for first in {file.parts[0] for file in distribution.files or [] if ".." not in file.parts}:
        place = folder / first
        if not place.exists() and first != "__pycache__":
            place.symlink_to(Path(str(distribution.locate_file(first))))


def run_bare(python: Path, code: str, folder: Path) -> str:
    """What `code` prints in the environment, which sees nothing of this one."""
    done = subprocess.run(
        [str(python), "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
