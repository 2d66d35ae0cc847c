"""A bundle's folder is a model that MLflow itself loads and serves."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from tests.support.bundles import make_bundle
from tests.support.pictures import flat, noise
from tests.support.projects import until

from everloop_runtime.admission import Admission
from everloop_runtime.library import Predictor

PICTURES = [flat(10), flat(240), noise(1), noise(2)]


def _expected(folder: Path) -> list[tuple[str, list[float]]]:
    predictor = Predictor(folder, admission=Admission(trial=None))
    return [(a.label, list(a.probabilities)) for a in predictor.predict_all(PICTURES)]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_mlflow_loads_it_and_answers_the_same(tmp_path: Path) -> None:
    import mlflow.onnx
    import mlflow.pyfunc
    import pandas as pd

    folder = tmp_path / make_bundle(tmp_path)
    model = mlflow.pyfunc.load_model(str(folder))
    given = model.predict(pd.DataFrame({"image": PICTURES}))
    found = [
        (label, list(row))
        for label, row in zip(given["label"], given["probabilities"], strict=True)
    ]
    assert found == _expected(folder)
    graph = mlflow.onnx.load_model(str(folder))
    assert graph.graph.input[0].name == "image"
    # MLflow notes beside a model that it fetched where it came from; the bundle stays whole.
    (folder / "registered_model_meta").write_text("model_name: x\n")
    mlflow.pyfunc.load_model(str(folder))
    (folder / "model.onnx").write_bytes(b"changed")
    with pytest.raises(Exception, match="not what the manifest says"):
        mlflow.pyfunc.load_model(str(folder))


def test_mlflow_serves_it(tmp_path: Path) -> None:
    folder = tmp_path / make_bundle(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = (tmp_path / "log").open("wb")
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder)]
    command += ["--env-manager", "local", "--port", str(port), "--workers", "1"]
    settings = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=log, stderr=log, env=settings, start_new_session=True
    )
    try:
        until(lambda: _asked(port, "ping"), 120, (tmp_path / "log").read_text())
        images = [[base64.b64encode(picture).decode()] for picture in PICTURES]
        body = {"dataframe_split": {"columns": ["image"], "data": images}}
        told = json.loads(_asked(port, "invocations", json.dumps(body).encode()) or b"{}")
        given = [(row["label"], row["probabilities"]) for row in told["predictions"]]
        assert given == _expected(folder)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def _asked(port: int, path: str, body: bytes | None = None) -> bytes | None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/{path}", body, {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            read: bytes = answer.read() or b"{}"
            return read
    except OSError:
        if body is not None:
            raise
        return None
