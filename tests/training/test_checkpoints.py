"""A training that was cut short goes on from its checkpoint as if it never had been."""

import io
import json
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from everloop.errors import Refused
from everloop.product import Product, Run
from everloop.tasks.image_classification import ImageClassification
from everloop.training.attempt import CHECKPOINT, Attempt, read_notes, run_training
from everloop.training.backbones import ResNet18
from everloop.training.early_stopping import EarlyStopping
from everloop.training.figures import read_figures
from everloop.training.project_code import load_product
from everloop.training.state_file import read_state, write_state

TEMPLATES = Path(__file__).parents[2] / "src" / "everloop" / "templates"
SIDE, COUNT, EPOCHS = 32, 12, 4
SMALL: dict[str, dict[str, Any]] = {
    "image-classification": {"epochs": EPOCHS, "batch_size": 3, "learning_rate": 0.01,
                             "aside": 0.25, "patience": 3, "backbone": ""},
    "image-retrieval": {"epochs": EPOCHS, "batch_size": 3, "learning_rate": 0.01, "width": 8,
                        "dimensions": 8, "scale": 16.0, "margin": 0.1, "aside": 0.25,
                        "patience": 3, "backbone": ""},
    "object-detection": {"epochs": EPOCHS, "batch_size": 3, "learning_rate": 0.01, "width": 4,
                         "aside": 0.25, "patience": 3, "backbone": ""},
}  # fmt: skip


class _Killed(BaseException):
    """As sudden as a signal, but inside the test's own process."""


class _Data:
    """Noise, and one object an image."""

    classes = ("cat", "dog")
    features = ()

    def __init__(self, *, boxes: bool) -> None:
        generator = np.random.default_rng(5)
        self._images = generator.random((COUNT, 3, SIDE, SIDE), np.float32)
        self._labels = np.arange(COUNT) % 2
        self._boxes = boxes

    def __len__(self) -> int:
        return COUNT

    def images(self) -> Any:
        return self._images.copy()

    def rows(self) -> Any:
        raise AssertionError

    def labels(self) -> Any:
        if not self._boxes:
            return self._labels.copy()
        return [np.array([[label, 0.2, 0.2, 0.7, 0.8]], np.float32) for label in self._labels]


@pytest.fixture(params=sorted(SMALL))
def template(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Product, Path]:
    name: str = request.param
    shutil.copytree(TEMPLATES / name, tmp_path / "project")
    for module in ("product", "augment", "detector"):
        sys.modules.pop(module, None)
    product = load_product(tmp_path / "project")
    sys.path.remove(str(tmp_path / "project"))
    return name, product, tmp_path / "project"


def _learn(template: tuple[str, Product, Path], folder: Path, die_at: int | None = None) -> Any:
    name, product, project = template
    folder.mkdir(exist_ok=True)

    def kept(step: int) -> None:
        if step == die_at:
            raise _Killed

    attempt = Attempt(folder, 3, kept=kept)
    data = _Data(boxes=name == "object-detection")
    model = run_training(product, data, SMALL[name], attempt, threads=1, project=project)
    return {name: value.clone() for name, value in model.state_dict().items()}


def _curves(folder: Path) -> list[tuple[int, str, float]]:
    return [(step, name, value) for step, name, value, _ in read_figures(folder)]


def test_a_template_cut_short_twice_learns_the_same_weights(
    template: tuple[str, Product, Path], tmp_path: Path
) -> None:
    whole = _learn(template, tmp_path / "whole")
    for step in (0, 2):
        with pytest.raises(_Killed):
            _learn(template, tmp_path / "cut", die_at=step)
    cut = _learn(template, tmp_path / "cut")
    assert whole.keys() == cut.keys()
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert _curves(tmp_path / "cut") == _curves(tmp_path / "whole")
    assert len({step for step, _, _ in _curves(tmp_path / "whole")}) == EPOCHS
    told = [f"went on from the checkpoint of step {step}" for step in (0, 2)]
    assert read_notes(tmp_path / "cut") == told


def test_each_template_begins_from_the_backbone_that_it_is_given(
    template: tuple[str, Product, Path], tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    name, product, project = template
    given = ResNet18(3)
    (project / "weights").mkdir()
    save_file(given.state_dict(), project / "weights" / "resnet18.safetensors")
    attempt, data = Attempt(tmp_path, 3), _Data(boxes=name == "object-detection")
    # So slowly that where it began is still to be seen.
    params = {**SMALL[name], "backbone": "resnet18", "epochs": 1, "learning_rate": 1e-9}
    model = run_training(product, data, params, attempt, threads=1, project=project)
    (note,) = read_notes(tmp_path)
    assert "learning begins from resnet18.safetensors" in note
    learnt = next(part for part in model.modules() if isinstance(part, ResNet18))
    assert torch.allclose(learnt.conv1.weight, given.conv1.weight, atol=1e-5)
    shapes = [tuple(seen.shape) for seen in learnt.maps(torch.zeros(1, 3, 64, 96))]
    assert shapes == [(1, 128, 8, 12), (1, 256, 4, 6), (1, 512, 2, 3)]


def test_all_kinds_of_state_come_back_as_they_were(tmp_path: Path) -> None:
    state: dict[Any, Any] = {
        "half": torch.randn(3, 2).to(torch.bfloat16), "one": torch.tensor(1.5), "b": b"\x00\xff",
        "nothing": torch.zeros(0, 4), "flags": torch.tensor([True, False]),
        3: ("a", [1, 2.5, None, True], 2**70), "array": np.arange(4.0), "not": float("inf"),
    }  # fmt: skip
    write_state(tmp_path / "s.npz", state)
    back: dict[Any, Any] = read_state(tmp_path / "s.npz")
    assert back.keys() == state.keys()
    for name, value in state.items():
        if isinstance(value, torch.Tensor):
            assert back[name].dtype == value.dtype and torch.equal(back[name], value)
        elif isinstance(value, np.ndarray):
            assert np.array_equal(back[name], value)
        else:
            assert back[name] == value
    with pytest.raises(Refused, match=r"state\['x'\]\[0\], a object"):
        write_state(tmp_path / "s.npz", {"x": [object()]})
    assert read_state(tmp_path / "s.npz")["b"] == b"\x00\xff", "the old one stands"


class _Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("ran"),))


def test_a_file_that_would_run_something_is_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, trap = tmp_path / "checkpoint.npz", np.array([_Trap()], object)
    with path.open("wb") as file:
        np.savez(file, tree=trap)
    with pytest.raises(Refused, match="damaged"):
        read_state(path)
    path.write_bytes(pickle.dumps(_Trap()))
    with pytest.raises(Refused, match="damaged"):
        read_state(path)
    out = io.BytesIO()
    torch.save({"weights": torch.zeros(3)}, out)
    path.write_bytes(out.getvalue())
    with pytest.raises(Refused, match="damaged"):
        read_state(path)
    assert not (tmp_path / "ran").exists()


def test_a_damaged_checkpoint_is_told_and_training_begins_again(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    attempt = Attempt(tmp_path, 0)
    assert attempt.resume(model=model) == 0
    attempt.checkpoint(4)
    data = bytearray((tmp_path / CHECKPOINT).read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / CHECKPOINT).write_bytes(data)
    assert Attempt(tmp_path, 0).resume(model=model) == 0
    assert "began again" in read_notes(tmp_path)[0]


def test_other_parts_than_the_checkpoint_holds_are_refused(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, 0)
    with pytest.raises(Refused, match="first names"):
        attempt.checkpoint(0)
    generator = np.random.default_rng(1)
    attempt.resume(model=nn.Linear(2, 2), generator=generator)
    attempt.checkpoint(0)
    expected = generator.random()
    again = np.random.default_rng(2)
    assert Attempt(tmp_path, 0).resume(model=nn.Linear(2, 2), generator=again) == 1
    assert again.random() == expected
    with pytest.raises(Refused, match=r"holds model, generator; run\.resume names model"):
        Attempt(tmp_path, 0).resume(model=nn.Linear(2, 2))
    with pytest.raises(Refused, match="a checkpoint cannot hold step, a int"):
        other = Attempt(tmp_path, 0)
        (tmp_path / CHECKPOINT).unlink()
        other.resume(step=3)
        other.checkpoint(0)


def test_what_is_logged_after_a_checkpoint_is_not_told_twice(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    first = Attempt(tmp_path, 0)
    first.resume(model=model)
    for step in range(3):
        first.log(step, loss=float(step))
        if step < 2:
            first.checkpoint(step)
    with (tmp_path / "figures.jsonl").open("a") as file:
        file.write(json.dumps({"step": 3})[:5])  # A kill inside a line.
    second = Attempt(tmp_path, 0)
    assert second.resume(model=model) == 2
    second.log(2, loss=9.0)
    assert _curves(tmp_path) == [(0, "loss", 0.0), (1, "loss", 1.0), (2, "loss", 9.0)]


def test_checkpoints_are_written_no_more_often_than_asked(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, 0, every=3600)
    attempt.resume(model=nn.Linear(1, 1))
    attempt.checkpoint(0)
    assert not (tmp_path / CHECKPOINT).exists()


def test_stopping_early_keeps_the_best_through_a_checkpoint(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    stopping = EarlyStopping(model, patience=2)
    attempt = Attempt(tmp_path, 0)
    attempt.resume(stopping=stopping)
    assert not stopping.after(1.0)
    best = model.weight.detach().clone()
    nn.init.zeros_(model.weight)
    assert not stopping.after(2.0)
    attempt.checkpoint(1)
    other = nn.Linear(1, 1)
    gone_on = EarlyStopping(other, patience=2)
    Attempt(tmp_path, 0).resume(stopping=gone_on)
    assert gone_on.after(1.5)
    assert torch.equal(gone_on.best().weight, best)
    assert EarlyStopping(other, patience=0).after(1.0) is False


def test_a_training_function_may_do_without_all_of_it(tmp_path: Path) -> None:
    def function(_data: Any, _params: Any, run: Run) -> int:
        run.log(0, loss=1.0)
        (run.folder / "kept.txt").write_text("worth keeping")
        return 7

    task = ImageClassification(classes=["cat", "dog"], size=(SIDE, SIDE), channels=3)
    product = Product("p", task=task)
    product.train(function)
    attempt = Attempt(tmp_path, 0)
    data = _Data(boxes=False)
    assert run_training(product, data, {}, attempt, threads=1, project=tmp_path) == 7
    assert (tmp_path / "artifacts" / "kept.txt").exists()


class _Rows:
    """Hours whose count is a function of the hour, and noise."""

    classes = ()

    def __init__(self, features: int) -> None:
        generator = np.random.default_rng(2)
        self.features = tuple(map(str, range(features)))
        self._rows = generator.random((400, features), np.float32)
        self._counts = generator.poisson(1 + 20 * self._rows[:, 3]).astype(np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def images(self) -> Any:
        raise AssertionError

    def rows(self) -> Any:
        return self._rows

    def labels(self) -> Any:
        return self._counts


def test_the_template_for_tables_learns_the_same_trees_twice(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(TEMPLATES / "tabular", project)
    product = load_product(project)
    params = {"trees": 40, "learning_rate": 0.1, "leaves": 7, "least_rows": 5}

    def trees(name: str) -> str:
        (tmp_path / name).mkdir()
        attempt = Attempt(tmp_path / name, 3)
        data = _Rows(len(product.task.declaration()["features"]))  # type: ignore[arg-type]
        model = run_training(product, data, params, attempt, threads=2, project=project)
        return str(model.booster_.model_to_string())

    assert trees("one") == trees("two")
    assert _curves(tmp_path / "one") == _curves(tmp_path / "two") != []
