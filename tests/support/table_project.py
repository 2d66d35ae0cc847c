"""A small product of rows, quick to learn, whose search space has points that fail."""

import csv
from pathlib import Path

import numpy as np
from tests.support.projects import told

PRODUCT = """
import os
import signal
import time
from pathlib import Path

from sklearn.linear_model import LogisticRegression

from everloop.product import Product
from everloop.space import Choice, Float
from everloop.tasks.tabular import TabularClassification

product = Product("busy", task=TabularClassification("busy", ["no", "yes"], ["hour", "warmth"]))
product.space(
    {"strength": Float(0.001, 10.0, log=True), "kind": Choice("good", "raise", "nan", "kill")},
    watch="loss",
    where=lambda point: point["strength"] < 5,
)


@product.train
def train(data, params, run):
    kind = params["kind"]
    if kind == "raise":
        raise ValueError("no luck")
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        (run.folder / "hung").touch()
        time.sleep(600)
    for step in range(3):
        run.log(step, loss=float("nan") if kind == "nan" else params["strength"] + step)
    run.log(0, rows=len(data))
    return LogisticRegression(C=params["strength"]).fit(data.rows(), data.labels())
"""
_POLICY = """
level = 0
[data]
sources = ["data"]
[train]
threads = 1
[train.params]
strength = 1.0
kind = "good"  # or bad
"""


def write_table_project(folder: Path, product: str = PRODUCT) -> Path:
    """A project in `folder` whose rows are imported."""
    (folder / "data").mkdir(parents=True)
    (folder / "product.py").write_text(product)
    (folder / "everloop.toml").write_text(_POLICY)
    generator = np.random.default_rng(0)
    with (folder / "data" / "rows.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["hour", "warmth", "busy"])
        for number in range(300):
            hour, warmth = number % 24, round(float(generator.normal(12, 8)), 3)
            busy = 10 * hour + 3 * warmth + generator.normal(0, 40) > 150
            rows.writerow([hour, warmth, "yes" if busy else "no"])
    told(folder, "data", "import", folder / "data")
    return folder
