"""The other servers: what each is installed from, started by and asked."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CONTENDERS = Path(__file__).parent / "contenders"
_COMMON = ("onnxruntime", "numpy", "pillow")


@dataclass(frozen=True)
class Ask:
    """One request, over and over."""

    path: str
    body: bytes
    kind: str = "application/octet-stream"


@dataclass(frozen=True)
class Peer:
    """One server as its documentation has it started."""

    needs: tuple[str, ...]
    command: tuple[str, ...]
    """`{bin}`: the environment's programs; `{port}`, `{work}`: what they say."""
    ask: str
    """How it is asked: `raw`, `json` (an object with base64), `mlflow` or `v2`."""
    path: str
    prepare: tuple[str, ...] = ()


PEERS = {
    "flask": Peer(
        ("flask", "gunicorn"),
        ("{bin}/gunicorn", "-w", "2", "-b", "127.0.0.1:{port}", "flask_app:app"),
        "raw",
        "/predict",
    ),
    "litserve": Peer(("litserve",), ("{bin}/python", "litserve_app.py"), "json", "/predict"),
    "bentoml": Peer(
        ("bentoml",),
        ("{bin}/bentoml", "serve", "bentoml_app:Digits", "--port", "{port}"),
        "json",
        "/predict",
    ),
    "ray": Peer(("ray[serve]",), ("{bin}/python", "ray_app.py"), "raw", "/predict"),
    "mlserver": Peer(
        ("mlserver",), ("{bin}/mlserver", "start", "{work}"), "v2", "/v2/models/digits/infer"
    ),
    "mlflow": Peer(
        ("mlflow",),
        ("{bin}/mlflow", "models", "serve", "-m", "{work}/model", "-p", "{port}",
         "--env-manager", "local", "-w", "2"),
        "mlflow",
        "/invocations",
        ("{bin}/python", "mlflow_model.py", "{work}/model", "answering.py"),
    ),
}  # fmt: skip


def request_of(peer: Peer, picture: bytes) -> Ask:
    """The request by which a peer is asked about a picture."""
    text = base64.b64encode(picture).decode()
    if peer.ask == "raw":
        return Ask(peer.path, picture)
    if peer.ask == "json":
        told: object = {"image": text}
    elif peer.ask == "mlflow":
        told = {"inputs": [text]}
    else:
        tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [text],
                  "parameters": {"content_type": "base64"}}  # fmt: skip
        told = {"inputs": [tensor]}
    return Ask(peer.path, json.dumps(told).encode(), "application/json")


def install(name: str, folder: Path) -> Path:
    """The programs of a throw-away environment with a peer in it."""
    programs = folder / name / "bin"
    if not (programs / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
    done = folder / name / "installed"
    if not done.exists():
        needs = [*_COMMON, *PEERS[name].needs]
        subprocess.run([str(programs / "pip"), "install", "-q", *needs], check=True)
        done.touch()
    return programs


def command_of(
    name: str, programs: Path, work: Path, port: int
) -> tuple[list[str], Mapping[str, str]]:
    """The command that starts a peer, and its environment; what it needs is prepared."""
    peer = PEERS[name]
    fill = {"bin": str(programs), "port": str(port), "work": str(work)}
    environment = {**os.environ, "BENCH_PORT": str(port), "PYTHONPATH": str(CONTENDERS),
                   "PATH": f"{programs}:{os.environ['PATH']}"}  # fmt: skip
    work.mkdir(parents=True, exist_ok=True)
    if name == "mlserver":
        _mlserver_files(work, port)
    if peer.prepare and not (work / "model").exists():
        prepare = [part.format(**fill) for part in peer.prepare]
        subprocess.run(prepare, check=True, cwd=CONTENDERS, env=environment)
    return [part.format(**fill) for part in peer.command], environment


def _mlserver_files(work: Path, port: int) -> None:
    settings = {"http_port": port, "host": "127.0.0.1", "debug": False, "parallel_workers": 2}
    model = {"name": "digits", "implementation": "mlserver_app.Digits"}
    (work / "settings.json").write_text(json.dumps(settings))
    (work / "model-settings.json").write_text(json.dumps(model))
