"""What a training function may do wrong is told with its line."""

import os
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from everloop.compute.job import Failed, Job, Running
from everloop.compute.local import LocalEngine
from everloop.data.training_data import SnapshotSide
from everloop.errors import Refused
from everloop.ids import ActionKey
from everloop.loop.jobs.train import refuse_empty_classes
from everloop.product import Product, Run
from everloop.tasks.image_classification import ImageClassification
from everloop.training.attempt import Attempt, read_notes, return_line, run_training
from everloop.training.backbones import WIDTH, ResNet18, pretrained
from everloop.training.limits import STACK, line_reached, machine_memory
from everloop.training.surroundings import code_state

HERE = Path(__file__)
TASK = ImageClassification(classes=["a", "b"], size=(6, 5), channels=3)


def _run(function: Any, folder: Path) -> Any:
    product = Product("p", task=TASK)
    product.train(function)
    data: Any = None
    return run_training(product, data, {}, Attempt(folder, 0), threads=1, project=HERE.parent)


def _line_of(words: str) -> str:
    """`file:line` of the one line of this file that holds `words` after its sign."""
    lines = HERE.read_text().splitlines()
    (number,) = [n for n, line in enumerate(lines, 1) if line.endswith(f"# here: {words}")]
    return f"{HERE.name}:{number}"


def test_the_line_that_logs_no_number_is_told_at_once(tmp_path: Path) -> None:
    after = []

    def function(_data: Any, _params: Any, run: Run) -> None:
        run.log(3, loss=float("nan"))  # here: nan
        after.append("went on")

    with pytest.raises(Refused) as told:
        _run(function, tmp_path)
    assert str(told.value) == f"{_line_of('nan')}: training diverged: loss is nan at step 3"
    assert not after


def test_weights_that_are_no_numbers_are_told_with_the_line_that_returns_them(
    tmp_path: Path,
) -> None:
    def function(_data: Any, _params: Any, _run: Run) -> nn.Module:
        model = nn.Linear(2, 2)
        nn.init.constant_(model.bias, float("inf"))
        return model  # here: weights

    with pytest.raises(Refused, match="weights bias are no numbers") as told:
        _run(function, tmp_path)
    assert str(told.value).startswith(_line_of("weights"))


def test_a_function_with_several_ends_is_named_by_its_beginning() -> None:
    def function(_data: Any, _params: Any, _run: Run) -> int:  # here: several
        if _data:
            return 1
        return 2

    assert return_line(function, HERE.parent) == _line_of("several")


def test_the_line_that_asks_for_too_much_memory_is_told(tmp_path: Path) -> None:
    def function(_data: Any, _params: Any, _run: Run) -> Any:
        return np.ones(2**52)  # here: memory

    with pytest.raises(Refused, match="out of memory") as told:
        _run(function, tmp_path)
    assert str(told.value).startswith(_line_of("memory"))


def test_pytorch_without_memory_is_told_as_such(tmp_path: Path) -> None:
    def function(_data: Any, _params: Any, _run: Run) -> Any:
        return torch.ones(2**52)  # here: tensor

    with pytest.raises(Refused, match="out of memory: take smaller batches") as told:
        _run(function, tmp_path)
    assert str(told.value).startswith(_line_of("tensor"))


def test_a_process_gets_no_more_than_its_share_of_the_memory() -> None:
    code = """
from everloop.training.limits import limit_memory, machine_memory
limit = limit_memory(0.5)
assert limit is None or limit <= machine_memory() * 0.5
try:
    bytearray(machine_memory())
except MemoryError:
    print("told")
"""
    if Path("/dev/nvidiactl").exists():
        pytest.skip("beside a GPU no bound is set")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "told\n"
    assert machine_memory() > 2**20


_HANGS = """
import sys, time
from pathlib import Path
from everloop.training.limits import tell_stack
tell_stack(Path.cwd())
sys.path.insert(0, sys.argv[1])
import endless
endless.learn()
"""


def test_the_line_at_which_a_training_hangs_is_told(tmp_path: Path) -> None:
    project, folder = tmp_path / "project", tmp_path / "job"
    project.mkdir()
    endless = "import time\ndef learn():\n    while True:\n        time.sleep(0.01)\n"
    (project / "endless.py").write_text(endless)
    command = (sys.executable, "-c", _HANGS, str(project))
    job = Job(ActionKey("train-1"), command, folder, timedelta(seconds=4))
    engine = LocalEngine()
    while isinstance(state := engine.ensure(job), Running):
        time.sleep(0.05)
    assert isinstance(state, Failed) and "took longer than its 4 s" in state.reason
    assert line_reached(folder, project) in {"endless.py:3", "endless.py:4"}
    (folder / STACK).unlink()
    assert line_reached(folder, project) is None


def test_a_class_that_nothing_shows_is_told_with_the_line_that_declares_it() -> None:
    product = Product("p", task=TASK)  # here: declares
    side = SnapshotSide(("a", "b"), (), (), None, None, ("a", "a"), None)  # type: ignore[arg-type]
    file, line = product.where
    assert f"{Path(file).name}:{line}" == _line_of("declares")
    with pytest.raises(Refused, match=r"x.py:7: no training sample shows 'b', which"):
        refuse_empty_classes(side, TASK, "x.py:7")


def test_an_interrupted_job_is_no_killed_one(tmp_path: Path) -> None:
    from everloop.compute.local import interrupt, is_cut_short, is_running

    job = Job(
        ActionKey("train-1"),
        (sys.executable, "-c", "open('begun', 'w'); import time; time.sleep(600)"),
        tmp_path,
        timedelta(seconds=100),
    )
    assert not is_running(tmp_path) and not is_cut_short(tmp_path) and not interrupt(tmp_path)
    for _ in range(5):
        engine = LocalEngine()
        assert engine.ensure(job) == Running()
        while not (tmp_path / "begun").exists():
            time.sleep(0.02)
        (tmp_path / "begun").unlink()
        assert is_running(tmp_path) and not is_cut_short(tmp_path)
        assert interrupt(tmp_path)
        assert is_cut_short(tmp_path) and not is_running(tmp_path)
    assert not (tmp_path / "exit.json").exists()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_what_git_knows_of_the_code_is_kept(tmp_path: Path) -> None:
    assert code_state(tmp_path).facts == {}
    author = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
              "GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": os.devnull}  # fmt: skip

    def git(*arguments: str) -> None:
        command = ["git", "-C", str(tmp_path), *arguments]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **author})

    git("init", "-q")
    (tmp_path / "product.py").write_text("epochs = 1\n")
    git("add", ".")
    git("commit", "-qm", "first")
    clean = code_state(tmp_path)
    assert clean.facts["state"] == "clean" and len(clean.facts["commit"]) == 40 and not clean.diff
    (tmp_path / "product.py").write_text("epochs = 2\n")
    (tmp_path / "other.py").write_text("")
    changed = code_state(tmp_path)
    assert changed.facts == {**clean.facts, "state": "changed"}
    assert "-epochs = 1\n+epochs = 2\n" in changed.diff and "not in git: other.py" in changed.diff


def test_a_backbone_is_used_where_its_weights_are_and_missed_where_not(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    run, weights = Attempt(tmp_path, 0), tmp_path / "weights" / "resnet18.safetensors"
    assert pretrained(weights, 3, run) is None
    weights.parent.mkdir()
    given = ResNet18(3)
    save_file({**given.state_dict(), "fc.weight": nn.Linear(WIDTH, 5).weight}, weights)
    learnt = pretrained(weights, 3, run)
    assert learnt is not None
    assert all((a == b).all() for a, b in zip(given.parameters(), learnt.parameters(), strict=True))
    grey = pretrained(weights, 1, run)
    assert grey is not None and grey.conv1.weight.shape[1] == 1
    first, *others = read_notes(tmp_path)
    assert "no resnet18.safetensors" in first and "learning begins from" in others[0]
    save_file({"conv1.weight": given.conv1.weight}, weights)
    with pytest.raises(Refused, match="another network"):
        pretrained(weights, 3, run)
    weights.write_bytes(b"not that")
    with pytest.raises(Refused, match="no safetensors file"):
        pretrained(weights, 3, run)
