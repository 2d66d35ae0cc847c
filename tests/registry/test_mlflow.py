"""MLflow as the registry: the contract, on a real database, and a crash half way."""

from pathlib import Path

import pytest

from everloop.adapters.mlflow_registry import MlflowRegistry
from everloop.registry.port import Registry
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
