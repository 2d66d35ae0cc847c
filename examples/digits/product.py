"""Handwritten digits: what is learnt, and how."""

import torch
from torch import nn

from everloop.product import Params, Product, Run, TrainingData
from everloop.tasks.image_classification import ImageClassification

# Each class is a folder under data/labelled; size is (height, width). The pictures are scans of
# 8 x 8 points, enlarged: 20 x 20 pixels hold all that is in them.
product = Product(
    "digits", task=ImageClassification(classes="0123456789", size=(20, 20), channels=1)
)

AUGMENT = torch.tensor([0.21, 0.1, 0.1, 0.1])
"""At most: radians turned, scale, and shift right and down in halves of the image."""


def network(channels: int, classes: int) -> nn.Module:
    """A few convolutions that see any size of image, and one linear layer."""

    def block(inside: int, outside: int) -> list[nn.Module]:
        conv = nn.Conv2d(inside, outside, 3, padding=1)
        return [conv, nn.GroupNorm(8, outside), nn.ReLU(), nn.MaxPool2d(2)]

    # Each image is brought to mean 0 and deviation 1: exposure does not matter.
    exposure = nn.GroupNorm(1, channels, affine=False)
    body = [exposure, *block(channels, 16), *block(16, 32), *block(32, 64)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, classes))


def augment(images: torch.Tensor) -> torch.Tensor:
    """Each image turned by up to 12 degrees, scaled and shifted by up to 10%, with some noise."""
    turn, scale, right, down = (2 * torch.rand(4, len(images)) - 1) * AUGMENT[:, None]
    cos, sin = (1 + scale) * turn.cos(), (1 + scale) * turn.sin()
    maps = torch.stack([cos, -sin, right, sin, cos, down], 1).view(-1, 2, 3)
    grid = nn.functional.affine_grid(maps, list(images.shape), align_corners=False)
    moved = nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return moved + 0.05 * torch.randn_like(images)


@product.train
def train(data: TrainingData, params: Params, run: Run) -> nn.Module:
    images, labels = torch.from_numpy(data.images()), torch.from_numpy(data.labels())
    model = network(images.shape[1], len(data.classes)).train()
    epochs, batch = int(params["epochs"]), int(params["batch_size"])
    steps = epochs * -(-len(images) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=params["learning_rate"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, params["learning_rate"], steps)
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.split(torch.randperm(len(images)), batch):
            loss = nn.functional.cross_entropy(model(augment(images[rows])), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        run.log(epoch, loss=total / len(images))
    return model
