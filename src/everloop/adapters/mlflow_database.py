"""MLflow's embedded database, made whole or not at all."""

import fcntl
import logging
import os
from pathlib import Path

_SQLITE = "sqlite:///"


def ensure_database(tracking_uri: str, artifacts: Path) -> None:
    """Make the SQLite file of `tracking_uri` if it is not there; other databases are left alone.

    MLflow makes its tables where it finds none, in dozens of steps. Two processes that do so at
    once disturb each other, and one that is killed in between leaves a file that no later one can
    mend. So one process makes them, beside the place, and moves the whole file there.
    """
    # Unless the user says otherwise, nothing of how a project is used leaves its machine.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # Both tell every migration and every default, which is of no use to anybody here.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if not tracking_uri.startswith(_SQLITE):
        return
    path = Path(tracking_uri.removeprefix(_SQLITE))
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            draft = path.with_name(f"{path.name}.new")
            for left in path.parent.glob(f"{draft.name}*"):
                left.unlink()
            _make(draft, artifacts)
            draft.rename(path)


def _make(path: Path, artifacts: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"{_SQLITE}{path}", artifacts.resolve().as_uri())
    store.engine.dispose()
