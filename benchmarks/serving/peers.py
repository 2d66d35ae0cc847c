"""The other servers: what each is installed from, started by and asked."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CONTENDERS = Path(__file__).parent / "contenders"
_CLOSE = 1e-3
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
        # Its workers do not start under a later uvloop (SeldonIO/MLServer issue 2286).
        ("mlserver", "uvloop<0.22"),
        ("{bin}/mlserver", "start", "{work}"),
        "v2",
        "/v2/models/digits/infer",
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


def is_right(body: bytes, expected: Sequence[float]) -> bool:
    """Whether an answer, in whatever it is wrapped, has the probabilities of the classes."""
    try:
        found = _probabilities(json.loads(body))
    except ValueError:
        return False
    return (
        found is not None
        and len(found) == len(expected)
        and all(abs(a - b) < _CLOSE for a, b in zip(found, expected, strict=True))
    )


def _probabilities(told: object) -> list[float] | None:
    if isinstance(told, str) and told.startswith("{"):
        told = json.loads(told)
    if isinstance(told, dict) and "probabilities" in told:
        given = told["probabilities"]
        return [*given.values()] if isinstance(given, dict) else list(given)
    inside = told.values() if isinstance(told, dict) else told if isinstance(told, list) else ()
    return next((found for one in inside if (found := _probabilities(one)) is not None), None)


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
                   "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
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
