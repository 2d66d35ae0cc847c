"""The columns that a model is about to learn from, looked at for what gives the target away."""

from everloop.data.checks.target_leaks import exact_leak
from everloop.data.training_data import SnapshotSide
from everloop.errors import Refused
from everloop.tasks.task import TableTask

_FEWEST = 20


def refuse_target_leak(data: SnapshotSide, task: TableTask) -> None:
    """Raise `Refused`, naming the columns, when a sum of a few features is the target."""
    import numpy as np

    if len(data) < _FEWEST:
        return
    columns = dict(zip(data.features, data.rows().T.astype(np.float64), strict=True))
    leak = exact_leak(columns, np.asarray(data.targets, np.float64))
    if leak is not None:
        raise Refused(
            f"{task.target} is {leak} in every row of the training side: these columns give the "
            "target away; leave them out of the features"
        )
