"""A network whose layers may have been learnt from millions of pictures before.

A ResNet-18 (He et al. 2016, "Deep Residual Learning for Image Recognition") whose layers are called
as in torchvision and timm, so that the weights those publish fit. They are read from a safetensors
file that lies beside the product's code; nothing is ever downloaded, and no pickle is read.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from everloop.errors import Refused

if TYPE_CHECKING:
    from everloop.product import Run

WIDTH = 512
"""How many numbers `ResNet18` gives for an image."""
MAPS = (128, 256, WIDTH)
"""Channels of its maps at an eighth, a sixteenth and a thirty-second of the image's size."""
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours: what the published weights expect taken out."""
_HEAD = ("fc.", "head.")


class _Block(nn.Module):
    """Two convolutions beside a short cut."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.downsample: nn.Module | None = None
        if stride != 1 or inside != outside:
            short = nn.Conv2d(inside, outside, 1, stride, bias=False)
            self.downsample = nn.Sequential(short, nn.BatchNorm2d(outside))

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        short = seen if self.downsample is None else self.downsample(seen)
        inner = torch.relu(self.bn1(self.conv1(seen)))
        return torch.relu(self.bn2(self.conv2(inner)) + short)


class ResNet18(nn.Module):
    """Images `[N, channels, H, W]` from 0 to 1 to `[N, 512]`."""

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        # For colours ImageNet's own; one grey channel has the mean of the three.
        mean = _MEAN if channels == len(_MEAN) else (sum(_MEAN) / 3,) * channels
        deviation = _DEVIATION if channels == len(_MEAN) else (sum(_DEVIATION) / 3,) * channels
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(deviation).view(1, -1, 1, 1), persistent=False)
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(_Block(64, 64, 1), _Block(64, 64, 1))
        self.layer2 = nn.Sequential(_Block(64, 128, 2), _Block(128, 128, 1))
        self.layer3 = nn.Sequential(_Block(128, 256, 2), _Block(256, 256, 1))
        self.layer4 = nn.Sequential(_Block(256, WIDTH, 2), _Block(WIDTH, WIDTH, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.maps(images)[-1].mean(dim=(2, 3))

    def maps(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What it sees on the way, `[N, C, H / s, W / s]` for each of `MAPS` and s = 8, 16, 32."""
        seen = torch.relu(self.bn1(self.conv1((images - self.mean) / self.spread)))
        eighth = self.layer2(self.layer1(nn.functional.max_pool2d(seen, 3, 2, 1)))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


def pretrained(weights: Path, channels: int, run: "Run") -> ResNet18 | None:
    """A `ResNet18` with the weights of a safetensors file; None where the file is not there.

    Either way the run's record says so. Raises `Refused` for weights of another network.
    """
    if not weights.exists():
        run.note(f"no {weights.name} in {weights.parent.name}/: the small network is learnt from 0")
        return None
    network = ResNet18(channels)
    given = {n: t for n, t in _read(weights).items() if not n.startswith(_HEAD)}
    first = given.get("conv1.weight")
    if first is not None and first.ndim == 4 and first.shape[1] != channels:
        # What three colours add up to is what as many channels of their mean do.
        grey = first.sum(dim=1, keepdim=True) / channels
        given["conv1.weight"] = grey.repeat(1, channels, 1, 1)
    try:
        missing, unknown = network.load_state_dict(given, strict=False)
    except RuntimeError as error:
        raise Refused(f"{weights.name} does not fit a ResNet-18: {error}") from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unknown:
        told = ", ".join([*missing, *unknown][:4])
        raise Refused(f"{weights.name} holds the weights of another network than ResNet-18: {told}")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    run.note(f"learning begins from {weights.name} (sha256 {digest[:16]})")
    return network


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise Refused("weights want safetensors: pip install 'everloop[torch]'") from error
    try:
        given: dict[str, torch.Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise Refused(f"{path.name} is no safetensors file: {error}") from error
    return given
