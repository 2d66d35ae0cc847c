"""A small visual search: a network that is learnt to lay pictures of one class together."""

from itertools import pairwise
from pathlib import Path

import torch
from torch import nn

from everloop.product import Params, Product, Run, TrainingData
from everloop.space import Choice, Float
from everloop.tasks.image_retrieval import ImageRetrieval
from everloop.training.backbones import WIDTH, pretrained
from everloop.training.early_stopping import EarlyStopping

# Your classes, as the folders under data/labelled are called; size is (height, width).
product = Product(
    "my-search", task=ImageRetrieval(classes=["cat", "dog"], size=(96, 96), channels=3)
)
# What `everloop tune` may vary; the rest stays as in everloop.toml.
product.space(
    {
        "learning_rate": Float(0.0005, 0.01, log=True),
        "width": Choice(16, 32),
        "scale": Float(8.0, 32.0, log=True),
        "margin": Float(0.0, 0.3),
    }
)

WEIGHTS = Path(__file__).parent / "weights" / "resnet18.safetensors"
"""A ResNet-18 as timm or torchvision publish it: where `backbone` asks for it and this file is
there, learning begins from it."""
AUGMENT = torch.tensor([0.21, 0.15, 0.15, 0.15])
"""At most: radians turned, scale, and shift right and down in halves of the image."""


class Network(nn.Module):
    """Residual convolutions; what several of them see, averaged and projected, is the embedding."""

    def __init__(self, channels: int, width: int, dimensions: int) -> None:
        super().__init__()
        sizes = [channels, width, 2 * width, 4 * width, 4 * width]
        # Each image is brought to mean 0 and deviation 1: exposure does not matter.
        self.exposure = nn.GroupNorm(1, channels, affine=False)
        self.stages = nn.ModuleList(Stage(*pair) for pair in pairwise(sizes))
        self.project = nn.Linear(channels + sum(sizes[2:]), dimensions)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # The plain colours are kept: they tell much, and little data cannot teach them.
        seen, kept = self.exposure(images), [images.mean(dim=(2, 3))]
        for number, stage in enumerate(self.stages):
            seen = stage(seen)
            if number:
                kept.append(seen.clamp(min=1e-6).pow(3).mean(dim=(2, 3)).pow(1 / 3))
        return self.project(torch.cat(kept, dim=1))


class Stage(nn.Module):
    """Two convolutions beside a short cut, then half the size."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, outside, 3, padding=1, bias=False),
            nn.GroupNorm(8, outside),
            nn.ReLU(),
            nn.Conv2d(outside, outside, 3, padding=1, bias=False),
            nn.GroupNorm(8, outside),
        )
        self.short = nn.Conv2d(inside, outside, 1, bias=False)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        whole = torch.relu(self.body(seen) + self.short(seen))
        return nn.functional.max_pool2d(whole, 2)


class Proxies(nn.Module):
    """One point a class on the sphere. An image is drawn to its own and pushed from the others, by
    softmax over cosines with a margin (Deng et al. 2019, "ArcFace", in its additive form, Wang et
    al. 2018, "CosFace").
    """

    def __init__(self, classes: int, dimensions: int, scale: float, margin: float) -> None:
        super().__init__()
        self.points = nn.Parameter(torch.randn(classes, dimensions))
        self.scale, self.margin = scale, margin

    def forward(self, embedded: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        near = nn.functional.normalize(embedded) @ nn.functional.normalize(self.points).T
        own = nn.functional.one_hot(labels, len(self.points)) * self.margin
        return nn.functional.cross_entropy(self.scale * (near - own), labels, label_smoothing=0.1)


def augment(images: torch.Tensor) -> torch.Tensor:
    """Each image turned by up to 12 degrees, scaled and shifted by up to 15%, with some noise."""
    turn, scale, right, down = ((2 * torch.rand(4, len(images)) - 1) * AUGMENT[:, None]).to(images)
    cos, sin = (1 + scale) * turn.cos(), (1 + scale) * turn.sin()
    maps = torch.stack([cos, -sin, right, sin, cos, down], 1).view(-1, 2, 3)
    grid = nn.functional.affine_grid(maps, list(images.shape), align_corners=False)
    moved = nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    light = 1 + 0.2 * (2 * torch.rand(len(images), 1, 1, 1).to(images) - 1)
    return light * moved + 0.03 * torch.randn_like(images)


def network(channels: int, params: Params, run: Run) -> nn.Module:
    """The backbone that is asked for, if its weights are at hand; else a small one."""
    dimensions = int(params["dimensions"])
    body = pretrained(WEIGHTS, channels, run) if params["backbone"] == "resnet18" else None
    if body is not None:
        return nn.Sequential(body, nn.Linear(WIDTH, dimensions))
    return Network(channels, int(params["width"]), dimensions)


@product.train
def train(data: TrainingData, params: Params, run: Run) -> nn.Module:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = torch.from_numpy(data.images()).to(device)
    labels = torch.from_numpy(data.labels()).to(device)
    # Nothing is learnt from what is put aside: it tells when to stop, and which epoch was best.
    order, count = torch.randperm(len(images)), int(params["aside"] * len(images))
    aside, taught = order[:count], order[count:]
    model = network(images.shape[1], params, run).to(device).train()
    proxies = Proxies(
        len(data.classes), int(params["dimensions"]), params["scale"], params["margin"]
    ).to(device)
    epochs, batch = int(params["epochs"]), int(params["batch_size"])
    steps = epochs * -(-len(taught) // batch)
    learnt = [*model.parameters(), *proxies.parameters()]
    optimizer = torch.optim.AdamW(learnt, lr=params["learning_rate"], weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, params["learning_rate"], steps)
    stopping = EarlyStopping(model, int(params["patience"]))
    parts = {"optimizer": optimizer, "schedule": schedule, "stopping": stopping}
    begin = run.resume(model=model, proxies=proxies, **parts)
    for epoch in range(begin, epochs):
        total = 0.0
        for rows in torch.split(taught[torch.randperm(len(taught))], batch):
            # On a GPU with half the bits.
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss = proxies(model(augment(images[rows])), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        run.log(epoch, loss=total / len(taught))
        if count:
            with torch.no_grad():
                loss = proxies(model.eval()(images[aside]), labels[aside])
            model.train()
            run.log(epoch, aside_loss=float(loss))
            if stopping.after(float(loss)):
                break
        run.checkpoint(epoch)
    # The proxies have done their work: what is served is the network, and an index that it makes.
    return stopping.best()
