"""The peers of versions and of the loop: DVC, a Hugging Face `datasets` directory, plain Parquet.

DVC and `datasets` are installed into an environment of their own, among the temporary files; each
of their steps is timed as a user takes it, from a process that is already running where the tool
has one.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_DATASETS = """
import hashlib, json, sys, time
from pathlib import Path
from datasets import Dataset, concatenate_datasets, load_from_disk

def rows(files):
    data = [Path(name).read_bytes() for name in files]
    return Dataset.from_dict({
        "id": [hashlib.sha256(each).hexdigest() for each in data],
        "data": data,
        "label": [Path(name).parent.name for name in files],
    })

told = json.loads(sys.stdin.read())
began = time.perf_counter()
rows(told["first"]).save_to_disk("one")
one = time.perf_counter()
concatenate_datasets([load_from_disk("one"), rows(told["more"])]).save_to_disk("two")
two = time.perf_counter()
assert len(load_from_disk("one")) == len(told["first"])
print(json.dumps([one - began, two - one, time.perf_counter() - two]))
"""


def peer_python() -> Path | None:
    """An environment with DVC and `datasets`, kept for the next time; None where they cannot be
    installed."""
    folder = Path(tempfile.gettempdir()) / f"everloop-bench-peers-{os.getuid()}"
    python = folder / "bin" / "python"
    if not python.exists() or not _works(python):
        sys.stdout.write("installing DVC and datasets into an environment of their own\n")
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "-q", "dvc", "datasets"]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            told = done.stderr.strip()[-200:]
            sys.stdout.write(f"DVC and datasets cannot be installed: {told}\n")
            return None
    return python


def _works(python: Path) -> bool:
    asked = [str(python), "-c", "import datasets, dvc.cli"]
    return not subprocess.run(asked, capture_output=True, check=False, env=_alone()).returncode


def _alone() -> dict[str, str]:
    """Without this project on the path, and without calls home."""
    return {**os.environ, "PYTHONPATH": "", "DVC_NO_ANALYTICS": "1", "HF_HUB_OFFLINE": "1"}


def dvc(python: Path, folder: Path, first: Sequence[Path], more: Sequence[Path]) -> list[float]:
    """Seconds of `dvc add` of a folder, of it again with more files, and of going back."""
    folder.mkdir()
    who = {f"GIT_{role}_{what}": "bench@example.org" for role in ("AUTHOR", "COMMITTER")
           for what in ("NAME", "EMAIL")}  # fmt: skip
    environment = _alone() | who

    def run(*command: str) -> None:
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)

    tool = (str(python), "-m", "dvc")
    run("git", "init", "-q")
    run(*tool, "init", "-q")
    _copy(first, folder / "data")
    one = _seconds(lambda: run(*tool, "add", "-q", "data"))
    run("git", "add", "-A")
    run("git", "commit", "-qm", "one")
    _copy(more, folder / "data")
    two = _seconds(lambda: run(*tool, "add", "-q", "data"))
    run("git", "commit", "-qam", "two")
    run("git", "checkout", "-q", "HEAD~1")
    back = _seconds(lambda: run(*tool, "checkout", "-q"))
    assert sum(1 for path in (folder / "data").rglob("*.jpg")) == len(first)
    return [one, two, back]


def dvc_chain(python: Path, folder: Path, steps: int) -> tuple[float, float]:
    """Seconds of `dvc repro` of stages that each do nothing after the last, and of it again."""
    folder.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    tool = (str(python), "-m", "dvc")
    subprocess.run([*tool, "init", "-q"], cwd=folder, env=_alone(), check=True)
    stages = {
        f"step-{number}": {
            "cmd": f"echo {number} > {number}",
            "outs": [str(number)],
            **({"deps": [str(number - 1)]} if number else {}),
        }
        for number in range(steps)
    }
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}))

    def repro() -> None:
        subprocess.run([*tool, "repro", "-q"], cwd=folder, env=_alone(), check=True)

    return _seconds(repro), _seconds(repro)


def hugging_face(
    python: Path, folder: Path, first: Sequence[Path], more: Sequence[Path]
) -> list[float]:
    """Seconds to save files with their hashes as a data set, to save it with more, to load it."""
    folder.mkdir()
    told = json.dumps({"first": list(map(str, first)), "more": list(map(str, more))})
    done = subprocess.run(
        [str(python), "-c", _DATASETS],
        cwd=folder, input=told, capture_output=True, text=True, check=True,
        env=_alone(),
    )  # fmt: skip
    seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


def parquet(folder: Path, first: Sequence[Path], more: Sequence[Path]) -> list[float]:
    """Seconds of the floor: hashes and bytes in Parquet files, a version being a list of files."""
    folder.mkdir()

    def write(files: Sequence[Path], name: str, before: Sequence[str]) -> None:
        data = [path.read_bytes() for path in files]
        columns = {
            "id": [hashlib.sha256(each).hexdigest() for each in data],
            "data": pa.array(data, pa.large_binary()),
            "label": [path.parent.name for path in files],
        }
        pq.write_table(pa.table(columns), folder / f"{name}.parquet", compression="none")
        (folder / f"{name}.json").write_text(json.dumps([*before, name]))

    def rows() -> int:
        parts = json.loads((folder / "one.json").read_text())
        return sum(pq.read_metadata(folder / f"{part}.parquet").num_rows for part in parts)

    one = _seconds(lambda: write(first, "one", ()))
    two = _seconds(lambda: write(more, "two", ("one",)))
    back = _seconds(rows)
    assert rows() == len(first)
    return [one, two, back]


def _copy(files: Sequence[Path], folder: Path) -> None:
    for path in files:
        place = folder / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _seconds(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began
