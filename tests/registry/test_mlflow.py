"""MLflow as the registry: the contract, on a real database, and a crash half way."""

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from everloop.adapters.mlflow_registry import MlflowRegistry
from everloop.ids import ActionKey
from everloop.registry.port import Registry
from everloop.registry.runs import RunStatus
from everloop.testing.registry import RegistryContract, _record


def _registry(folder: Path) -> MlflowRegistry:
    return MlflowRegistry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts", "contract")


class TestMlflow(RegistryContract):
    def registry(self, folder: Path) -> Registry:
        return _registry(folder)


def test_a_run_left_half_written_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(MlflowRegistry, "_fill", die)
        with pytest.raises(Killed):
            _registry(tmp_path).record_run(_record(), None)
    run_id = _registry(tmp_path).record_run(_record(), None)
    from mlflow import MlflowClient

    run = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["loss"] == 0.25
    assert run.data.params["epochs"] == "3"


def test_a_run_shows_where_it_is_until_it_is_over(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    client, seen = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}"), []
    statuses: tuple[RunStatus, ...] = ("running", "interrupted", "running", "killed", "running")
    for status in statuses:
        run_id = _registry(tmp_path).record_run(replace(_record(), status=status), None)
        seen.append(client.get_run(run_id))
    assert [run.info.status for run in seen] == ["RUNNING", "KILLED", "RUNNING", *["KILLED"] * 2]
    assert [run.data.tags["everloop.status"] for run in seen[:2]] == ["running", "interrupted"]
    assert not seen[2].data.metrics and seen[3].data.metrics["loss"] == 0.25
    _registry(tmp_path).add_metrics(_record().key, {"holdout/accuracy": 0.5})
    _registry(tmp_path).add_metrics(ActionKey("train-none"), {"holdout/accuracy": 0.5})
    assert client.get_run(run_id).data.metrics["holdout/accuracy"] == 0.5


def _die_while_making(folder: str) -> None:
    from mlflow.store.db import utils

    def die(engine: object) -> None:
        with engine.begin() as connection:  # type: ignore[attr-defined]
            connection.exec_driver_sql("CREATE TABLE _alembic_tmp_tags (x)")
        os.kill(os.getpid(), signal.SIGKILL)

    utils._initialize_tables = die
    _registry(Path(folder)).versions()


def _open(folder: str) -> int:
    return len(_registry(Path(folder)).versions())


def test_a_kill_while_the_database_is_made_leaves_nothing_half_made(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_die_while_making, args=(str(tmp_path),))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / "mlflow.db.new").exists() and not (tmp_path / "mlflow.db").exists()
    assert _open(str(tmp_path)) == 0
    assert not (tmp_path / "mlflow.db.new").exists()


def test_processes_that_open_a_new_registry_at_once_agree(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.map(_open, [str(tmp_path)] * 3) == [0, 0, 0]


def test_nothing_of_a_projects_use_is_told_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.telemetry import utils

    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.delenv(name, raising=False)
    # Otherwise silent by itself: it sees that it is being tested.
    monkeypatch.setattr(utils, "_IS_IN_CI_ENV_OR_TESTING", False)
    assert not utils.is_telemetry_disabled()
    _registry(tmp_path).versions()
    assert utils.is_telemetry_disabled()
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    _registry(tmp_path).versions()
    assert not utils.is_telemetry_disabled(), "who wants it may have it"
