"""Handwritten digits: what is learnt, and how."""

import torch
from torch import nn

from everloop.product import Params, Product, Run, TrainingData
from everloop.tasks.image_classification import ImageClassification

# Each class is a folder under data/labelled; size is (height, width).
product = Product(
    "digits", task=ImageClassification(classes="0123456789", size=(28, 28), channels=1)
)


def network(channels: int, classes: int) -> nn.Module:
    """A few convolutions that see any size of image, and one linear layer."""

    def block(inside: int, outside: int) -> list[nn.Module]:
        conv = nn.Conv2d(inside, outside, 3, padding=1)
        return [conv, nn.BatchNorm2d(outside), nn.ReLU(), nn.MaxPool2d(2)]

    body = [*block(channels, 32), *block(32, 64), *block(64, 64)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, classes))


def augment(images: torch.Tensor) -> torch.Tensor:
    """Each batch shifted by up to two pixels, with noise: a photograph is never quite the same."""
    shift = tuple(int(s) for s in torch.randint(-2, 3, (2,)))
    return torch.roll(images, shift, (2, 3)) + 0.05 * torch.randn_like(images)


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
