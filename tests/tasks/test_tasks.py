"""Each built-in task passes the shipped contract; a mistake planted in its service is stopped."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.colours import PICTURES
from tests.support.contracts import PictureContract
from torch import nn

from everloop.data.training_data import SnapshotSide
from everloop.labels import ClassesLabel, encode
from everloop.tasks.image_classification import ImageClassification
from everloop.tasks.image_retrieval import ImageRetrieval
from everloop.tasks.multi_label import MultiLabelClassification

CLASSES = ("blue", "green", "red")
SIDE = 8


@pytest.fixture(autouse=True)
def _findable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=":")


def _linear(outputs: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE * 3, 16), nn.ReLU(),
                         nn.Linear(16, outputs))  # fmt: skip


class TestImageClassification(PictureContract):
    task = ImageClassification(CLASSES, size=(SIDE, SIDE))
    samples = tuple((data, CLASSES[n % 3]) for n, data in enumerate(PICTURES))

    def model(self, data: SnapshotSide) -> Any:
        return _linear(len(data.classes))


class TestMultiLabel(PictureContract):
    task = MultiLabelClassification(CLASSES, size=(SIDE, SIDE))
    samples = tuple(
        (data, encode(ClassesLabel(tuple(c for k, c in enumerate(CLASSES) if n >> k & 1))))
        for n, data in enumerate(PICTURES)
    )

    def model(self, data: SnapshotSide) -> Any:
        return _linear(len(data.classes))

    def test_metrics_are_the_textbooks(self) -> None:
        values = np.array([[0.9, 0.2, 0.6], [0.1, 0.8, 0.3]], np.float32)
        targets = self.task.targets(['{"classes":["blue"]}', '{"classes":["green"]}'])
        assert targets.tolist() == [[1, 0, 0], [0, 1, 0]]
        found = self.task.score(values, targets)
        assert found["exact_match"] == 0.5 and found["hamming_loss"] == pytest.approx(1 / 6)
        assert found["micro_f1"] == pytest.approx(0.8) and found["mean_average_precision"] == 1.0


class TestImageRetrieval(PictureContract):
    task = ImageRetrieval(CLASSES, size=(SIDE, SIDE), most=5)
    samples = tuple((data, CLASSES[n % 3]) for n, data in enumerate(PICTURES))

    def model(self, data: SnapshotSide) -> Any:  # noqa: ARG002 - any will do
        return _linear(6)

    def test_metrics_are_the_textbooks(self) -> None:
        hits = np.zeros((2, 5, 3), np.float32)
        hits[:, :, 0] = [[0, 1, 0, 2, 2], [1, 1, 2, 1, 1]]
        found = self.task.score(hits, np.array([0, 2]))
        assert (found["recall_at_1"], found["recall_at_5"]) == (0.5, 1.0)
        assert found["map_at_5"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 3) / 2)
