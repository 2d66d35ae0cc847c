"""A small image classifier: what is learnt, and how."""

from pathlib import Path

import torch
from torch import nn

from everloop.product import Params, Product, Run, TrainingData
from everloop.space import Choice, Float
from everloop.tasks.image_classification import ImageClassification
from everloop.training.backbones import WIDTH, pretrained
from everloop.training.early_stopping import EarlyStopping

# Your classes, as the folders under data/labelled are called; size is (height, width).
product = Product(
    "my-product", task=ImageClassification(classes=["cat", "dog"], size=(64, 64), channels=3)
)
# What `everloop tune` may vary; the rest stays as in everloop.toml.
product.space(
    {"learning_rate": Float(0.0005, 0.02, log=True), "batch_size": Choice(16, 32, 64)},
    watch="loss",
)

WEIGHTS = Path(__file__).parent / "weights" / "resnet18.safetensors"
"""A ResNet-18 as timm or torchvision publish it: where `backbone` asks for it and this file is
there, learning begins from it."""
AUGMENT = torch.tensor([0.21, 0.1, 0.1, 0.1])
"""At most: radians turned, scale, and shift right and down in halves of the image."""


def network(channels: int, classes: int, params: Params, run: Run) -> nn.Module:
    """The backbone that is asked for, if its weights are at hand; else a small one."""
    body = pretrained(WEIGHTS, channels, run) if params["backbone"] == "resnet18" else None
    if body is not None:
        return nn.Sequential(body, nn.Linear(WIDTH, classes))
    return small_network(channels, classes)


def small_network(channels: int, classes: int) -> nn.Module:
    """A few convolutions that see any size of image, and one linear layer."""

    def block(inside: int, outside: int) -> list[nn.Module]:
        conv = nn.Conv2d(inside, outside, 3, padding=1)
        return [conv, nn.GroupNorm(8, outside), nn.ReLU(), nn.MaxPool2d(2)]

    # Each image is brought to mean 0 and deviation 1: exposure does not matter.
    exposure = nn.GroupNorm(1, channels, affine=False)
    body = [exposure, *block(channels, 32), *block(32, 64), *block(64, 64)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, classes))


def augment(images: torch.Tensor) -> torch.Tensor:
    """Each image turned by up to 12 degrees, scaled and shifted by up to 10%, with some noise."""
    turn, scale, right, down = ((2 * torch.rand(4, len(images)) - 1) * AUGMENT[:, None]).to(images)
    cos, sin = (1 + scale) * turn.cos(), (1 + scale) * turn.sin()
    maps = torch.stack([cos, -sin, right, sin, cos, down], 1).view(-1, 2, 3)
    grid = nn.functional.affine_grid(maps, list(images.shape), align_corners=False)
    moved = nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return moved + 0.05 * torch.randn_like(images)


@product.train
def train(data: TrainingData, params: Params, run: Run) -> nn.Module:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = torch.from_numpy(data.images()).to(device)
    labels = torch.from_numpy(data.labels()).to(device)
    # Nothing is learnt from what is put aside: it tells when to stop, and which epoch was best.
    order, count = torch.randperm(len(images)), int(params["aside"] * len(images))
    aside, taught = order[:count], order[count:]
    model = network(images.shape[1], len(data.classes), params, run).to(device).train()
    epochs, batch = int(params["epochs"]), int(params["batch_size"])
    steps = epochs * -(-len(taught) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=params["learning_rate"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, params["learning_rate"], steps)
    stopping = EarlyStopping(model, int(params["patience"]))
    begin = run.resume(model=model, optimizer=optimizer, schedule=schedule, stopping=stopping)
    for epoch in range(begin, epochs):
        total = 0.0
        for rows in torch.split(taught[torch.randperm(len(taught))], batch):
            # On a GPU with half the bits.
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss = nn.functional.cross_entropy(model(augment(images[rows])), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        run.log(epoch, loss=total / len(taught))
        if count:
            with torch.no_grad():
                loss = nn.functional.cross_entropy(model.eval()(images[aside]), labels[aside])
            model.train()
            run.log(epoch, aside_loss=float(loss))
            if stopping.after(float(loss)):
                break
        run.checkpoint(epoch)
    return stopping.best()
