"""MLflow's empty database, made once for all projects of a test process: it takes seconds."""

import tempfile
from functools import cache
from pathlib import Path

from everloop.adapters.mlflow_database import ensure_database
from everloop.layout import Layout


def give_tracking(project: Path) -> None:
    """Give a new project the database that its first training would make."""
    place = Layout(project).tracking_database
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(_empty())


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "mlflow.db"
        ensure_database(f"sqlite:///{place}", Path(folder))
        return place.read_bytes()
