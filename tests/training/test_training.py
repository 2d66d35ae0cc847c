"""Training and export: what a user's function may get wrong is told, not served."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from everloop.errors import Refused
from everloop.product import Product, Run
from everloop.tasks.image_classification import ImageClassification
from everloop.training.attempt import Attempt, run_training
from everloop.training.export import export
from everloop.training.figures import read_figures
from everloop.training.project_code import load_product
from everloop_runtime.answers.declared import answer_kind
from everloop_runtime.model import Graph

TASK = ImageClassification(classes=["a", "b", "c"], size=(6, 5), channels=3)
KIND = answer_kind(TASK.answer(), TASK.classes)
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 6, 5, 3)).astype(np.uint8)


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(90, 16), nn.Dropout(0.5), nn.Linear(16, 3))


def test_the_graph_answers_as_the_framework_for_any_number_of_images() -> None:
    model = _model()
    graph = Graph(export(model, IMAGES, KIND))
    for count in (1, 2, 7):
        pixels = torch.from_numpy(IMAGES[:count]).permute(0, 3, 1, 2) / 255.0
        with torch.no_grad():
            expected = torch.softmax(model.eval()(pixels), 1).numpy()
        given = graph.run(IMAGES[:count])
        assert np.allclose(given.values, expected, atol=1e-5)
        assert given.embeddings.shape == (count, 16)


class _Restless(nn.Module):
    """Answers by a count of its calls, which no graph can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.body = _model()
        self.calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        result: torch.Tensor = self.body(images) * float(self.calls)
        return result


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("weights.bin", "a torch.nn.Module, a model of"),
        (nn.Sequential(nn.Flatten(), nn.Linear(90, 2)), r"gives \(7, 2\) for 7 samples"),
        (_Restless(), "differs from the framework"),
    ],
)
def test_what_cannot_be_served_is_refused(model: Any, words: str) -> None:
    with pytest.raises(Refused, match=words):
        export(model, IMAGES, KIND)


class _Data:
    """Training data that no function here looks at."""

    classes = TASK.classes

    def __len__(self) -> int:
        return len(IMAGES)

    def images(self) -> Any:
        return np.zeros((7, 3, 6, 5), np.float32)

    def labels(self) -> Any:
        return np.zeros(7, np.int64)

    features = ()

    def rows(self) -> Any:
        raise AssertionError


def _train(function: Any, folder: Path, seed: int = 0) -> Any:
    product = Product("p", task=TASK)
    product.train(function)
    attempt = Attempt(folder, seed)
    return run_training(product, _Data(), {}, attempt, threads=1, project=folder)


def test_figures_are_kept_as_they_come(tmp_path: Path) -> None:
    def function(_data: Any, _params: Any, run: Run) -> None:
        run.log(0, loss=2.0)
        run.log(1, loss=1.0, accuracy=0.5)

    _train(function, tmp_path)
    kept = [(step, name, value) for step, name, value, _ in read_figures(tmp_path)]
    assert kept == [(0, "loss", 2.0), (1, "loss", 1.0), (1, "accuracy", 0.5)]


def test_a_diverged_training_is_refused(tmp_path: Path) -> None:
    def function(_data: Any, _params: Any, run: Run) -> None:
        run.log(0, loss=1.0)
        run.log(1, loss=float("nan"))

    with pytest.raises(Refused, match="training diverged: loss is nan at step 1"):
        _train(function, tmp_path)


def test_randomness_comes_from_the_seed(tmp_path: Path) -> None:
    def function(_data: Any, _params: Any, _run: Run) -> tuple[float, float]:
        return float(torch.rand(1)), float(np.random.rand())

    one, again, other = (_train(function, tmp_path, seed) for seed in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "no product.py"),
        ("x = 1\n", "declares 0 products"),
        ("x = (\n", r"product\.py:1"),
        ("import nothing_like_it\n", r"product\.py:1.*nothing_like_it"),
    ],
)
def test_a_project_without_a_product_is_refused(
    tmp_path: Path, code: str | None, words: str
) -> None:
    if code is not None:
        (tmp_path / "product.py").write_text(code)
    with pytest.raises(Refused, match=words):
        load_product(tmp_path)
