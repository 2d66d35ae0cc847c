"""Boxes: what is drawn is found by its overlap, everywhere alike; with a detector made by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tests.support.colours import PICTURES
from tests.support.contracts import PictureContract
from torch import nn

from everloop.data.fit import in_shares
from everloop.data.training_data import SnapshotSide
from everloop.labels import Box, BoxesLabel, encode
from everloop.tasks.object_detection import ObjectDetection
from everloop_runtime.answers.boxes import Boxes

pytest.importorskip("pycocotools", reason="the extra `detection` is not installed")

CLASSES = ("red", "green", "blue")
SIDE = 8
QUARTERS = np.array(
    [(0, 0, 0.5, 0.5), (0.5, 0, 1, 0.5), (0, 0.5, 0.5, 1), (0.5, 0.5, 1, 1)], np.float32
)


@pytest.fixture(autouse=True)
def _findable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=":")


def made_by_hand() -> bytes:
    """A detector that boxes each quarter of a picture, for each colour with its mean as score."""
    make = helper.make_node
    constants: dict[str, Any] = {
        "full": np.array(255, np.float32),
        "shape": np.array([0, 12, 1], np.int64),
        "nothing": np.array(0, np.float32),
        "edges": np.tile(QUARTERS, (3, 1))[None],
        "numbers": np.repeat(np.arange(3, dtype=np.float32), 4)[None, :, None],
    }
    nodes = [
        make("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        make("Div", ["float", "full"], ["scaled"]),
        make("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        make("AveragePool", ["planes"], ["quarters"], kernel_shape=[4, 4], strides=[4, 4]),
        make("Reshape", ["quarters", "shape"], ["score"]),
        make("Mul", ["score", "nothing"], ["zero"]),
        make("Add", ["zero", "edges"], ["each"]),
        make("Add", ["zero", "numbers"], ["class"]),
        make("Concat", ["each", "score", "class"], ["boxes"], axis=2),
    ]
    graph = helper.make_graph(
        nodes,
        "quarters",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 12, 6])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18)]
    data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    return data


class Quarters(nn.Module):
    """The same in PyTorch, as a detector's author would write it."""

    edges: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("edges", torch.from_numpy(QUARTERS))
        self.see: nn.Module = nn.AvgPool2d(4)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores = self.see(images).flatten(2).transpose(1, 2)
        return self.edges.unsqueeze(0).expand(len(images), -1, -1), scores


def _label(number: int) -> str:
    left, top, right, bottom = QUARTERS[number % 4].tolist()
    return encode(BoxesLabel((Box(CLASSES[number % 3], left, top, right, bottom),)))


class TestMadeByHand(PictureContract):
    task = ObjectDetection(CLASSES, size=(SIDE, SIDE))
    samples = tuple((data, _label(number)) for number, data in enumerate(PICTURES))

    def model(self, data: SnapshotSide) -> Any:  # noqa: ARG002 - it has learnt nothing
        return made_by_hand()


def test_pytorch_s_edges_and_scores_become_the_same_boxes() -> None:
    from everloop.training.export import export
    from everloop_runtime.model import Graph

    kind = Boxes(CLASSES)
    images = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3)).astype(np.uint8)
    graphs = [export(model, images, kind) for model in (Quarters(), made_by_hand())]
    one, two = (kind.settle(Graph(g, output="boxes").run(images).values) for g in graphs)
    assert kind.distance(one, two).max() < 1e-5
    assert (one[:, :12, 4] > 0).all() and not one[:, 12:].any()


def test_of_boxes_that_overlap_the_surest_of_its_class_is_left() -> None:
    kind = Boxes(("a", "b"), most=3, least=0.2, overlap=0.5)
    wide = (0.1, 0.1, 0.5, 0.5)
    candidates = np.array(
        [
            [
                (*wide, 0.6, 0),
                (0.12, 0.1, 0.5, 0.5, 0.9, 0),
                (*wide, 0.5, 1),
                (0.6, 0.6, 0.9, 1.2, 0.3, 1),
                (0.6, 0.6, 0.9, 0.9, 0.1, 0),
            ]
        ],
        np.float32,
    )
    settled = kind.settle(candidates)[0]
    assert settled[:, 4:].tolist() == pytest.approx(np.array([[0.9, 0], [0.5, 1], [0.3, 1]]))
    assert settled[2, 3] == 1.0, "what reaches beyond the picture is cut"
    told = json.loads(b"{%b}" % kind.tell(settled[None])[0].body)
    assert [box["label"] for box in told["boxes"]] == ["a", "b", "b"]
    assert kind.distance(kind.read(told)[None], settled[None])[0] < 1e-6


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.02))
def test_boxes_are_as_far_from_others_as_they_were_moved(seed: int, by: float) -> None:
    kind, generator = Boxes(CLASSES), np.random.default_rng(seed)
    quarter = generator.permutation(4)[: generator.integers(0, 5)]
    boxes = np.zeros((1, kind.most, 6), np.float32)
    boxes[0, : len(quarter), :4] = QUARTERS[quarter] * 0.9
    boxes[0, : len(quarter), 4] = 0.9
    moved = boxes.copy()
    moved[0, : len(quarter), :2] += by
    shuffled = moved[:, np.r_[generator.permutation(len(quarter)), len(quarter) : kind.most]]
    assert kind.distance(shuffled, boxes)[0] == pytest.approx(by if len(quarter) else 0, abs=1e-6)


def test_metrics_are_coco_s() -> None:
    task = ObjectDetection(CLASSES, size=(SIDE, SIDE))
    values = np.zeros((2, 100, 6), np.float32)
    values[0, 0] = (0, 0, 0.5, 0.5, 0.9, 0)
    values[1, :2] = [(0, 0, 0.5, 0.5, 0.8, 0), (0.5, 0.5, 1, 1, 0.7, 1)]
    targets = task.targets([_label(0), encode(BoxesLabel((Box("red", 0, 0, 0.5, 0.3),)))])
    found = task.score(values, targets)
    # Of the second picture's boxes one overlaps the drawn one by 0.6, the other has another class.
    assert found["map_50"] == pytest.approx(1.0)
    assert found["map_75"] == pytest.approx(0.505, abs=0.01)
    assert found["image_f1"] == pytest.approx((1 + 2 / 3) / 2)
    nothing = task.score(np.zeros((2, 100, 6), np.float32), targets)
    assert nothing["map_50"] == 0 and nothing["image_f1"] == 0


def test_labels_in_pixels_are_learnt_as_shares_of_the_upright_picture() -> None:
    label = BoxesLabel((Box("red", 10, 20, 30, 40),))
    assert in_shares(label, (100, 50)).boxes == (Box("red", 0.1, 0.4, 0.3, 0.8),)
