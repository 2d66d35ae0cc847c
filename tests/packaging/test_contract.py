"""One bundle, everywhere: service, library, wheel, MLflow, batch and container answer the same.

Golden inputs, a hold-out, and one file of every kind that two readers could take differently.
"""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.support import containers
from tests.support.bare import bare_environment, run_bare
from tests.support.colours import ODD_PICTURES, PICTURES, TASK, make_colour_bundle
from tests.support.projects import everloop
from tests.support.services import COMMAND

from everloop.errors import EverloopError
from everloop.ids import BundleId
from everloop.rollout.service import candidate_service
from everloop_runtime.admission import Admission
from everloop_runtime.bundle import open_bundle
from everloop_runtime.client import Client
from everloop_runtime.golden import read_golden
from everloop_runtime.library import Predictor

ALL = [*PICTURES, *ODD_PICTURES]
EXACT = 1e-6
"""Of a probability. Batches of another size may round its last bit another way."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle's folder, `bundles/ID`."""
    bundles = tmp_path_factory.mktemp("contract") / "bundles"
    return bundles / make_colour_bundle(bundles)


@pytest.fixture(scope="module")
def expected(folder: Path) -> np.ndarray:
    """What the library answers, `[N, K]`; for golden inputs it is what the bundle recorded."""
    predictor = Predictor(folder, admission=Admission(trial=None))
    given = np.array([answer.probabilities for answer in predictor.predict_all(ALL)])
    inputs, golden = read_golden(open_bundle(folder))
    assert inputs == ALL[: len(inputs)]
    assert np.abs(given[: len(golden)] - golden).max() <= EXACT
    return given


def _hold(given: object, expected: np.ndarray) -> None:
    assert np.abs(np.array(given) - expected).max() <= EXACT


def _through(client: Client) -> list[list[float]]:
    answers = [client.predict(picture).probabilities for picture in ALL]
    return [[answer[name] for name in TASK.classes] for answer in answers]


def test_the_service(folder: Path, expected: np.ndarray, tmp_path: Path) -> None:
    bundle = BundleId(folder.name)
    with candidate_service(COMMAND, bundle, folder.parent, tmp_path) as client:
        _hold(_through(client), expected)


def test_the_wheel(folder: Path, expected: np.ndarray, tmp_path: Path) -> None:
    made = everloop(None, "package", "wheel", folder, "--out", tmp_path / "wheels", "--json").json()
    python = bare_environment(tmp_path / "bare", Path(made["wheel"]), Path(made["runtime"]))
    _write(tmp_path / "pictures")
    code = """
import json
from pathlib import Path
from colours_model import predict
files = sorted(Path("pictures").iterdir())
print(json.dumps([predict(file).probabilities for file in files]))
"""
    _hold(json.loads(run_bare(python, code, tmp_path)), expected)


def test_mlflow(folder: Path, expected: np.ndarray) -> None:
    import pandas as pd

    from everloop_runtime.mlflow_model import _load_pyfunc

    given = _load_pyfunc(str(folder)).predict(pd.DataFrame({"image": ALL}))
    _hold(given["probabilities"].tolist(), expected)


def test_the_batch(folder: Path, expected: np.ndarray, tmp_path: Path) -> None:
    _write(tmp_path / "pictures")
    out = tmp_path / "answers.parquet"
    said = everloop(
        None, "predict", "--batch", tmp_path / "pictures", "--out", out, "--bundle", folder
    )
    assert said.code == 0, said.err
    _hold(pq.read_table(out)["probabilities"].to_pylist(), expected)


def _write(folder: Path) -> None:
    folder.mkdir()
    for number, picture in enumerate(ALL):
        (folder / f"{number:03}.img").write_bytes(picture)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    place = tmp_path_factory.mktemp("podman")
    with pytest.MonkeyPatch.context() as patch:
        made = containers.settings(place)
        patch.setenv("CONTAINERS_CONF", made["CONTAINERS_CONF"])
        containers.make_base(made, place)
        yield made


@pytest.fixture(scope="module")
def image(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    built = _build(folder, "everloop-test:one")
    yield built
    containers.podman(environment, "rmi", "--force", built)


_WHY_NOT = containers.why_no_containers()


@pytest.mark.skipif(_WHY_NOT is not None, reason=str(_WHY_NOT))
class TestContainer:
    """Built for real by podman on a Debian base, and run with nothing that it does not need."""

    def test_the_same_content_gives_the_same_image(self, folder: Path, image: str) -> None:
        assert _build(folder, "everloop-test:two") == image

    def test_it_answers_the_same_without_any_right(
        self, image: str, environment: dict[str, str], expected: np.ndarray
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        limits = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges")
        name = containers.podman(
            environment, "run", "--detach", "--network=host", *limits, image, "--port", str(port)
        )
        try:
            with Client(f"http://127.0.0.1:{port}", timeout=20) as client:
                _await(client)
                _hold(_through(client), expected)
            told = containers.podman(
                environment, "exec", name, "sh", "-c",
                f"id -u; grep CapEff /proc/self/status; touch /opt/x /etc/x 2>&1; "
                f"python3 -m everloop_runtime.probe {port} && echo healthy; ls /capture",
            )  # fmt: skip
        finally:
            containers.podman(environment, "rm", "--force", "--time", "5", name)
        lines = told.splitlines()
        assert lines[0] == "65532" and lines[1].split()[1] == "0" * 16
        assert told.count("Read-only file system") == 2 and "healthy" in lines
        health = containers.podman(
            environment, "inspect", image, "--format", "{{.HealthCheck}} {{.User}}"
        )
        assert "everloop_runtime.probe" in health and health.endswith("65532:65532")


def _build(folder: Path, tag: str) -> str:
    said = everloop(
        None, "package", "image", folder, "--base", containers.BASE, "--tag", tag,
        "--builder", "podman", "--json", seconds=600,
    )  # fmt: skip
    assert said.code == 0, said.err
    built: str = said.json()["image"]
    return built


def _await(client: Client) -> None:
    """Until it answers at all, and then until it is ready."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            client.status()
        except EverloopError:
            time.sleep(0.1)
        else:
            client.wait_ready(60)
            return
    raise AssertionError("the container does not answer")


def test_without_a_builder_or_on_another_base_it_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from everloop.packaging.image import find_builder

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EverloopError, match="podman or buildah or docker is installed"):
        find_builder(None)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    monkeypatch.undo()
    said = everloop(None, "package", "image", folder, "--no-build", "--out", tmp_path / "full")
    assert said.code == 3 and "is not empty" in said.err
    said = everloop(None, "package", "image", folder, "--no-build")
    assert said.code == 3 and "--out says where" in said.err
