"""A compact detector without anchors, and what it is taught.

Each cell of one feature map, an eighth of the picture's size, tells how far the four edges of the
object in it are, and how well that box fits an object of each class (Tian et al. 2019, "FCOS"; the
class score is taught to be the box's overlap, as in Zhang et al. 2021, "VarifocalNet").
"""

import torch
from torch import nn
from torch.nn import functional

from everloop.training.backbones import MAPS, ResNet18

STRIDE = 8
REACH = 1.5
"""Cells so near to the middle of an object, in strides, are taught to find it."""


def convolution(inside: int, outside: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(inside, outside, size, stride, size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outside), nn.SiLU())


class Residual(nn.Module):
    """Two convolutions beside a short cut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(width, width), convolution(width, width))

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return seen + self.body(seen)


class Body(nn.Module):
    """A small network: maps at an eighth, a sixteenth and a thirty-second of the picture's size."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        w, middle = width, 4 * width
        self.sizes = (middle, 6 * w, 8 * w)
        self.eighth = nn.Sequential(
            *(convolution(channels, w, 2), convolution(w, 2 * w, 2), Residual(2 * w)),
            *(convolution(2 * w, middle, 2), Residual(middle), Residual(middle)),
        )
        self.sixteenth = nn.Sequential(
            convolution(middle, 6 * w, 2), Residual(6 * w), Residual(6 * w)
        )
        self.smallest = nn.Sequential(convolution(6 * w, 8 * w, 2), Residual(8 * w))

    def maps(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        eighth = self.eighth(images - 0.5)
        sixteenth = self.sixteenth(eighth)
        return eighth, sixteenth, self.smallest(sixteenth)


class Detector(nn.Module):
    """Images `[N, 3, H, W]` from 0 to 1 to edges `[N, cells, 4]`, as shares of the picture, and
    scores `[N, cells, classes]`. H and W are multiples of 32.
    """

    def __init__(self, body: Body | ResNet18, classes: int, width: int) -> None:
        super().__init__()
        self.body = body
        eighth, sixteenth, smallest = body.sizes if isinstance(body, Body) else MAPS
        middle = 4 * width
        # What is seen of the whole picture comes back to where it was seen.
        self.down = nn.ModuleList(
            [convolution(smallest, middle, size=1), convolution(sixteenth, middle, size=1)]
        )
        alike = eighth == middle
        self.near = nn.Identity() if alike else convolution(eighth, middle, size=1)
        self.merge = nn.ModuleList([convolution(middle, middle), convolution(middle, middle)])
        self.what = nn.Sequential(convolution(middle, middle), nn.Conv2d(middle, classes, 1))
        self.where = nn.Sequential(convolution(middle, middle), nn.Conv2d(middle, 4, 1))
        # Nearly every cell is empty: a score begins at 1%.
        nn.init.constant_(self.what[-1].bias, -4.6)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        edges, logits = self.find(images)
        return edges, logits.sigmoid()

    def find(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Edges, and the logits of the scores."""
        eighth, sixteenth, smallest = self.body.maps(images)
        seen = self.merge[0](self.down[1](sixteenth) + larger(self.down[0](smallest), sixteenth))
        seen = self.merge[1](self.near(eighth) + larger(seen, eighth))
        reach = functional.softplus(self.where(seen).flatten(2).transpose(1, 2)) * 4 * STRIDE
        height, width = images.shape[-2:]
        middle = cells(height, width).to(images.device)
        edges = torch.cat([middle - reach[..., :2], middle + reach[..., 2:]], dim=-1)
        size = torch.tensor([width, height, width, height]).to(edges)
        return edges / size, self.what(seen).flatten(2).transpose(1, 2).float()


def larger(seen: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(seen, size=like.shape[-2:], mode="nearest")


def cells(height: int, width: int) -> torch.Tensor:
    """The middle of each cell in pixels, `[cells, 2]`, across and down."""
    across = (torch.arange(width // STRIDE) + 0.5) * STRIDE
    down = (torch.arange(height // STRIDE) + 0.5) * STRIDE
    return torch.stack(torch.meshgrid(across, down, indexing="xy"), dim=-1).view(-1, 2)


def loss_of(detector: Detector, images: torch.Tensor, labels: list[torch.Tensor]) -> torch.Tensor:
    """How far the detector is from `labels`: an image's objects `[n, 5]`, class and edges."""
    edges, logits = detector.find(images)
    target, unlike, found = torch.zeros_like(logits), edges.new_zeros(()), 0
    for row, objects in enumerate(labels):
        places, owners = assigned(objects, *images.shape[-2:])
        overlap, likeness = overlaps(edges[row, places], objects[owners, 1:])
        unlike = unlike + (1 - likeness).sum()
        found += len(places)
        target[row, places, objects[owners, 0].long()] = overlap.detach().clamp(0.1, 1)
    # An empty cell counts by how wrong it is, so that the many easy ones do not drown the others.
    weight = torch.where(target > 0, target, 0.75 * logits.detach().sigmoid() ** 2)
    wrong = functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    return (wrong + 2 * unlike) / max(found, 1)


def assigned(objects: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Which cells are taught which object; where several lie over each other, the smallest."""
    if not len(objects):
        nothing = torch.zeros(0, dtype=torch.long, device=objects.device)
        return nothing, nothing
    size = torch.tensor([width, height]).to(objects)
    middle = (objects[:, 1:3] + objects[:, 3:]) / 2 * size
    half = (objects[:, 3:] - objects[:, 1:3]) / 2 * size
    reach = torch.clamp(0.9 * half, STRIDE / 2, REACH * STRIDE)
    away = ((cells(height, width).to(objects)[:, None] - middle) / reach).abs().amax(-1)
    area = torch.where(away > 1, torch.inf, half.prod(-1))
    smallest, owner = area.min(dim=1)
    places = smallest.isfinite().nonzero()[:, 0]
    return places, owner[places]


def overlaps(found: torch.Tensor, true: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Intersection over union of boxes that belong together, and the generalised one, which also
    tells boxes apart that do not touch (Rezatofighi et al. 2019).
    """

    def area(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        return (high - low).clamp(min=0).prod(-1)

    shared = area(torch.max(found[:, :2], true[:, :2]), torch.min(found[:, 2:], true[:, 2:]))
    union = area(found[:, :2], found[:, 2:]) + area(true[:, :2], true[:, 2:]) - shared
    hull = area(torch.min(found[:, :2], true[:, :2]), torch.max(found[:, 2:], true[:, 2:]))
    overlap = shared / union.clamp(min=1e-9)
    return overlap, overlap - (hull - union) / hull.clamp(min=1e-9)
