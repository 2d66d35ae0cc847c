"""The two models of the serving benchmark as real bundles, and a picture for each."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from everloop.monitoring.reference import build_reference
from everloop.training.export import export
from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.bundle import BundleDraft, InputSpec, build_bundle
from everloop_runtime.golden import golden_files
from everloop_runtime.ids import BundleId
from everloop_runtime.images import ImageSpec, to_array
from everloop_runtime.model import Graph

CLASSES = tuple("0123456789")
SPECS = {"tiny": ImageSpec(28, 28, 1), "resnet": ImageSpec(224, 224, 3)}


def picture(kind: str, seed: int) -> bytes:
    """A smooth JPEG of the model's size: about 0.7 KB for the tiny one, 12 KB for the other."""
    spec = SPECS[kind]
    rng = np.random.default_rng(seed)
    rough = rng.integers(0, 256, (7, 7, 3), dtype=np.uint8)
    image = Image.fromarray(rough).resize((spec.width, spec.height), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    image.convert("L" if spec.channels == 1 else "RGB").save(out, "JPEG", quality=85)
    return out.getvalue()


def expected(kind: str, onnx: bytes, image: bytes) -> list[float]:
    """The probabilities that a picture is to be answered with."""
    pixels = to_array(image, SPECS[kind])
    found: list[float] = Graph(onnx).run(pixels[None]).values[0].tolist()
    return found


def bundle(kind: str, bundles: Path) -> BundleId:
    """The bundle of one of the models, built if it is not there."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    spec = SPECS[kind]
    images = [picture(kind, seed) for seed in range(8)]
    pixels = np.stack([to_array(image, spec) for image in images])
    onnx = export(_tiny() if kind == "tiny" else _ResNet(), pixels, ClassProbabilities(CLASSES))
    given = Graph(onnx).run(pixels)
    seen = given.embeddings.reshape(len(images), -1)
    reference = build_reference(given.values, seen, np.ones(len(seen), bool), seen)
    draft = BundleDraft(
        product=f"benchmark-{kind}",
        task={"kind": "image-classification"},
        input=InputSpec(height=spec.height, width=spec.width, channels=spec.channels),
        classes=CLASSES,
        lineage={},
    )
    golden = golden_files(images[:2], given.values[:2])
    return build_bundle(bundles, draft, {"model.onnx": onnx, "reference.npz": reference, **golden})


def _tiny() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip


class _Block(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.one = _convolved(inside, outside, 3, stride)
        self.two = _convolved(outside, outside, 3, 1)
        same = inside == outside and stride == 1
        self.past = nn.Identity() if same else _convolved(inside, outside, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.two(torch.relu(self.one(x))) + self.past(x))


class _ResNet(nn.Module):
    """ResNet-18 with untrained weights."""

    def __init__(self) -> None:
        super().__init__()
        widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
        blocks = [
            block
            for inside, outside, stride in widths
            for block in (_Block(inside, outside, stride), _Block(outside, outside, 1))
        ]
        self.stem = nn.Sequential(_convolved(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(512, len(CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen: torch.Tensor = self.head(self.blocks(self.stem(x)).mean(dim=(2, 3)))
        return seen


def _convolved(inside: int, outside: int, size: int, stride: int) -> nn.Sequential:
    plain = nn.Conv2d(inside, outside, size, stride, size // 2, bias=False)
    return nn.Sequential(plain, nn.BatchNorm2d(outside))
