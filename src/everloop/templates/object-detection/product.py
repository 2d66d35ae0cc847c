"""A small object detector: what is learnt, and how."""

import copy
from pathlib import Path

import torch
from augment import augmented
from detector import Body, Detector, loss_of
from torch import nn

from everloop.product import Params, Product, Run, TrainingData
from everloop.space import Choice, Float
from everloop.tasks.object_detection import ObjectDetection
from everloop.training.backbones import pretrained
from everloop.training.early_stopping import EarlyStopping

# Your classes, as your label files call them; size is (height, width), multiples of 32.
product = Product(
    "my-detector", task=ObjectDetection(classes=["cat", "dog"], size=(256, 320), channels=3)
)
# What `everloop tune` may vary; the rest stays as in everloop.toml.
product.space(
    {"learning_rate": Float(0.0005, 0.008, log=True), "width": Choice(8, 16, 24)}, watch="loss"
)


WEIGHTS = Path(__file__).parent / "weights" / "resnet18.safetensors"
"""A ResNet-18 as timm or torchvision publish it: where `backbone` asks for it and this file is
there, learning begins from it."""


def network(channels: int, classes: int, params: Params, run: Run) -> Detector:
    """On the backbone that is asked for, if its weights are at hand; else on a small one."""
    body = pretrained(WEIGHTS, channels, run) if params["backbone"] == "resnet18" else None
    width = int(params["width"])
    return Detector(body or Body(channels, width), classes, width)


@product.train
def train(data: TrainingData, params: Params, run: Run) -> nn.Module:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = torch.from_numpy(data.images())
    labels = [torch.from_numpy(objects) for objects in data.labels()]
    # Nothing is learnt from what is put aside: it tells when to stop, and which epoch was best.
    order, count = torch.randperm(len(images)), int(params["aside"] * len(images))
    aside, taught = order[:count], order[count:]
    model = network(images.shape[1], len(data.classes), params, run).to(device).train()
    kept = copy.deepcopy(model)
    epochs, batch = int(params["epochs"]), int(params["batch_size"])
    steps = epochs * -(-len(taught) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=params["learning_rate"], weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, params["learning_rate"], steps, pct_start=0.15
    )
    stopping = EarlyStopping(kept, int(params["patience"]))
    parts = {"optimizer": optimizer, "schedule": schedule, "stopping": stopping}
    begin = run.resume(model=model, kept=kept, **parts)
    for epoch in range(begin, epochs):
        total = 0.0
        for rows in torch.split(taught[torch.randperm(len(taught))], batch):
            seen, objects = augmented(images[rows], [labels[row] for row in rows])
            # On a GPU with half the bits.
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss = loss_of(model, seen.to(device), [one.to(device) for one in objects])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            follow(kept, model, schedule.last_epoch)
            total += float(loss.detach()) * len(rows)
        run.log(epoch, loss=total / len(taught))
        if count:
            with torch.no_grad():
                objects = [labels[row].to(device) for row in aside]
                loss = loss_of(kept.eval(), images[aside].to(device), objects)
            kept.train()
            run.log(epoch, aside_loss=float(loss))
            if stopping.after(float(loss)):
                break
        run.checkpoint(epoch)
    return stopping.best()


def follow(kept: nn.Module, model: nn.Module, step: int) -> None:
    """`kept` is a moving average of what is learnt: it finds more than any single step of it."""
    share = max(0.002, 9 / (10 + step))
    mine, theirs = kept.state_dict(), model.state_dict()
    with torch.no_grad():
        for name, value in mine.items():
            if value.is_floating_point():
                value.lerp_(theirs[name], share)
            else:
                value.copy_(theirs[name])
