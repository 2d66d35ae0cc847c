"""Small whole products: a project's folder, and `everloop` run on it as a process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from tests.support.pictures import bar
from tests.support.tracking import give_tracking
from tests.support.warm import Warm

from everloop.app.assemble import assemble
from everloop.loop.project import Project
from everloop_runtime.client import Client

EVERLOOP = (sys.executable, "-m", "everloop.app")
_MAIN = "everloop.app.main:main"
SIDE = 16

_PRODUCT = '''
"""Bars: upright or lying."""

import torch
from torch import nn

from everloop.product import Params, Product, Run, TrainingData
from everloop.tasks.image_classification import ImageClassification

product = Product(
    "bars", task=ImageClassification(classes=["lying", "upright"], size=(16, 16), channels=1)
)


@product.train
def train(data: TrainingData, params: Params, run: Run) -> nn.Module:
    images, labels = torch.from_numpy(data.images()), torch.from_numpy(data.labels())
    body = [nn.Conv2d(1, 8, 5), nn.ReLU(), nn.AdaptiveMaxPool2d(4), nn.Flatten()]
    model = nn.Sequential(*body, nn.Linear(128, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(int(params["steps"])):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.log(step, loss=float(loss.detach()))
    return model
'''

_POLICY = """
level = {level}
[data]
holdout_share = 0.4
[train]
min_labels = 20
new_labels = 20
threads = 1
[train.params]
steps = {steps}
[gates]
absolute = {{ accuracy = 0.7 }}
slice_min_accuracy = 0.0
[approval]
by = "{approval}"
[rollout]
strategy = "{strategy}"
shares = [0.3]
min_requests = 10
soak = "300ms"
max_latency_ratio = 50.0
max_confidence_drop = 1.0
[monitor]
window = 40
confirm = 1
[labelling]
budget = 40
holdout_share = 0.3
cooldown = "1s"
[serve]
port = 0
[tracking]
ui = false
[web]
on = false
[loop]
interval = "100ms"
"""


def write_project(
    folder: Path,
    *,
    level: int = 2,
    approval: str = "rule",
    product: str = _PRODUCT,
    pictures: int = 70,
    steps: int = 60,
    strategy: str = "canary",
) -> Path:
    """A project whose pictures are bars; `pictures` of each of the two classes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "product.py").write_text(product)
    give_tracking(folder)
    policy = _POLICY.format(level=level, approval=approval, steps=steps, strategy=strategy)
    (folder / "everloop.toml").write_text(policy)
    for name in ("lying", "upright"):
        place = folder / "data" / "labelled" / name
        place.mkdir(parents=True)
        for seed in range(pictures):
            (place / f"{seed}.png").write_bytes(
                bar(name == "upright", 2 * seed + (name == "lying"))
            )
    return folder


def product_with(training: str) -> str:
    """The product's code with another body of the training function."""
    return _PRODUCT.partition("-> nn.Module:\n")[0] + "-> nn.Module:\n" + training


@dataclass(frozen=True)
class Said:
    """What one command printed, and its exit code."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Its output, read as JSON."""
        return json.loads(self.out)


def everloop(project: Path | None, *arguments: str | Path, seconds: float = 400) -> Said:
    """Run one `everloop` command as a process that begins warm."""
    where = [] if project is None else ["--project", str(project)]
    with TemporaryFile() as out, TemporaryFile() as err:
        command = Warm(
            _MAIN, [*map(str, arguments), *where], out, err, {**os.environ, "COLUMNS": "200"}
        )
        try:
            code = command.wait(seconds)
        finally:
            command.kill()
        return Said(code, _text(out), _text(err))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def told(project: Path, *arguments: str | Path) -> Any:
    """The JSON of a command that must succeed."""
    said = everloop(project, *arguments, "--json")
    assert said.code == 0, said.err
    return said.json()


@contextmanager
def product_up(project: Path) -> Iterator[Warm]:
    """`everloop up` for as long as the block lasts; then everything is stopped."""
    with (project / "up.log").open("ab") as log:
        process = Warm(_MAIN, ["up", "--project", str(project)], log, log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        everloop(project, "down")


def until(what: Callable[[], Any], seconds: float = 300, why: str = "") -> Any:
    """The first true value of `what`; fails after `seconds`. Asking takes a third of the time."""
    deadline = time.monotonic() + seconds
    while (asked := time.monotonic()) < deadline:
        if value := what():
            return value
        time.sleep(max(0.1, 2 * (time.monotonic() - asked)))
    raise AssertionError(f"it never came: {why}")


def opened(project: Path) -> Project:
    """The project's stores, opened by the test's own process."""
    return assemble(project)


def service_of(project: Path) -> Client:
    """A client of the project's live service, once it is there and ready."""
    from everloop.layout import Layout
    from everloop.rollout.service import live_service

    address = until(lambda: live_service(Layout(project)), why="no service")
    client = Client(address.url, timeout=20)
    client.wait_ready(60)
    return client


def results(project: Project, kind: str) -> list[Mapping[str, Any]]:
    """Results of all Actions of a kind that ended well."""
    return [
        entry.outcome.result
        for entry in project.journal.entries((kind,)).values()
        if entry.outcome is not None and entry.outcome.succeeded
    ]
