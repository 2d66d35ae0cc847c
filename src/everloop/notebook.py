"""A product in a notebook: its data, its training function and its evaluation, called directly.

    from everloop.notebook import open_notebook

    work = open_notebook("my-product")
    data = work.data()                          # what @product.train is given
    model = work.train(epochs=3)                # the same function, seeded as a run is
    work.evaluate(model).metrics                # of the bundle, on the hold-out

Nothing of this is recorded, and no model of it comes to traffic: `everloop train` does that, from
the same `product.py`.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.app.assemble import assemble
from everloop.data.owner import owner_only
from everloop.data.training_data import SnapshotSide, read_side, side_bytes
from everloop.errors import Refused
from everloop.loop.jobs.bundling import GOLDEN, Learnt, bundle_of
from everloop.loop.project import Project
from everloop.product import Product
from everloop.tasks.task import Learnable, learnable
from everloop.training.attempt import Attempt, run_training
from everloop.training.project_code import load_product

if TYPE_CHECKING:
    from everloop.data.snapshots import Snapshot
    from everloop.evaluation.evaluate import Evaluation


@dataclass(frozen=True)
class Notebook:
    """A product opened for trying things out."""

    project: Project
    product: Product
    """What `product.py` declares; `from product import train` gives the function itself."""

    @property
    def params(self) -> dict[str, Any]:
        """The table `[train.params]`."""
        return dict(self.project.policy.train.params)

    def data(self, side: str = "train", snapshot: str | None = None) -> SnapshotSide:
        """One side (`train` or `holdout`) of a snapshot, by its id or how it begins.

        Without one, of the newest. Raises `Refused` when there is none.
        """
        return self._side(side, self._snapshot(snapshot))

    def train(self, data: SnapshotSide | None = None, **params: Any) -> Any:
        """What the training function returns, called as in a run: seeded, on as many threads.

        `data`: the newest snapshot's training side by default. `params` stand instead of the
        policy's. Raises `Refused` as a run fails.
        """
        policy = self.project.policy.train
        with tempfile.TemporaryDirectory() as folder:
            return run_training(
                self.product,
                self.data() if data is None else data,
                {**self.params, **params},
                Attempt(Path(folder), policy.seed, every=policy.checkpoint.total_seconds()),
                threads=policy.threads,
                project=self.project.layout.project,
            )

    def evaluate(self, model: Any, snapshot: str | None = None) -> "Evaluation":
        """The hold-out's metrics of the bundle that `model` makes.

        Raises `Refused` when it cannot be exported.
        """
        from everloop.evaluation.evaluate import evaluate
        from everloop_runtime.bundle import open_bundle
        from everloop_runtime.model import Model

        pinned, policy = self._snapshot(snapshot), self.project.policy.bundle
        held = self._side("holdout", pinned)
        learnt = Learnt(
            product=self.product.name,
            task=self._task,
            snapshot=pinned.id,
            data=self._side("train", pinned),
            held=held,
            golden=owner_only(self.project.data.samples, held.samples[:GOLDEN]),
            lineage={"snapshot": pinned.id},
            calibrate=policy.calibration == "temperature",
            precision=policy.precision,
        )
        with tempfile.TemporaryDirectory() as folder:
            bundle = bundle_of(Path(folder), model, learnt)
            opened = open_bundle(Path(folder) / bundle, bundle)
            return evaluate(Model.load(opened), pinned.id, held, self._task)

    @property
    def _task(self) -> Learnable:
        return learnable(self.project.declaration.task)

    def _snapshot(self, named: str | None) -> "Snapshot":
        snapshots = self.project.data.snapshots
        if named is not None:
            return snapshots.find(named)
        every = snapshots.list()
        if not every:
            raise Refused("there is no snapshot yet; everloop snapshots take makes one")
        return every[-1]

    def _side(self, side: str, snapshot: "Snapshot") -> SnapshotSide:
        store, task = self.project.data, self._task
        spec = task.input_of(lambda: side_bytes(store, snapshot, "train"))
        return read_side(store, snapshot, side, task=task, spec=spec)


def open_notebook(path: str | Path) -> Notebook:
    """The product in the folder `path`, with its code imported into this process.

    Raises `Refused` when there is no project, and naming the user's line when its code fails.
    """
    project = assemble(Path(path))
    return Notebook(project, load_product(project.layout.project))
