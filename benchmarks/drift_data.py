"""What the benchmark of drift is run on: three data sets, and a small CNN that learns from them."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
_EPOCHS = {"digits": 25, "math_symbols": 12, "groceries": 40}

Pictures = NDArray[np.uint8]


@dataclass
class Data:
    """Pictures `[N, H, W, C]` and their classes."""

    pictures: Pictures
    classes: NDArray[np.int64]


def digits() -> Data:
    """1,797 scans of 8 x 8."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = (found.images * (255 / 16)).astype(np.uint8)
    return Data(pixels[..., None], found.target.astype(np.int64))


def math_symbols() -> Data:
    """3,600 handwritten symbols of 18 classes, 28 x 28."""
    files = sorted((SHARED / "math_symbols" / "images").rglob("*.png"))
    names = sorted({path.parent.name for path in files})
    pictures = np.stack([np.asarray(Image.open(path).convert("L")) for path in files])
    return Data(pictures[..., None], np.array([names.index(p.parent.name) for p in files]))


def groceries() -> Data:
    """The photographs of the ten largest coarse classes, 32 x 32."""
    folder = SHARED / "groceries"
    rows = list(csv.DictReader(io.StringIO((folder / "labels.csv").read_text(encoding="utf-8"))))
    label = next(name for name in rows[0] if "coarse" in name)
    path = next(name for name in rows[0] if "path" in name or "file" in name)
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        counts[row[label]] += 1
    largest = sorted(counts, key=lambda name: (-counts[name], name))[:10]
    rows = [row for row in rows if row[label] in largest]
    pictures = np.stack([_small(folder, row[path]) for row in rows])
    return Data(pictures, np.array([largest.index(row[label]) for row in rows]))


def _small(folder: Path, name: str) -> Pictures:
    place = folder / name if (folder / name).exists() else folder / "images" / name
    picture = Image.open(place).convert("RGB")
    picture.draft("RGB", (64, 64))
    return np.asarray(picture.resize((32, 32), Image.Resampling.BILINEAR, reducing_gap=2.0))


SETS: Mapping[str, Callable[[], Data]] = {
    "digits": digits, "math_symbols": math_symbols, "groceries": groceries
}  # fmt: skip


class Net(nn.Module):
    """Two convolutions and two linear layers."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        high, wide, channels = shape
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(32 * (high // 4) * (wide // 4), 64), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(64, classes)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = self.body(images)
        return self.head(seen), seen


def learn(name: str, data: Data, classes: int, seed: int) -> Net:
    """A network that learnt from all of `data`, a part of the data set `name`."""
    epochs = _EPOCHS[name]
    torch.manual_seed(seed)
    net = Net(data.pictures.shape[1:], classes)
    images, labels = tensor(data.pictures), torch.from_numpy(data.classes)
    steps = epochs * -(-len(labels) // 64)
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(labels)), 64):
            loss = nn.functional.cross_entropy(net(images[rows])[0], labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def tensor(pictures: Pictures) -> torch.Tensor:
    """As the network takes them, `[N, C, H, W]`, 0 to 1."""
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).float() / 255


def answers(net: Net, pictures: Pictures) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """Shares of the classes `[N, K]` and embeddings `[N, 64]`."""
    with torch.no_grad():
        logits, seen = net(tensor(pictures))
    return torch.softmax(logits, 1).numpy(), seen.numpy()
