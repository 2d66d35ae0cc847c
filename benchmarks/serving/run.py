"""The serving benchmark: `python benchmarks/serving/run.py [--only NAME ...] [--seconds N]`.

One machine, one client (wrk, `apt-get install wrk`), one model, one picture: the floors of HTTP,
the limit without HTTP, Everloop with its capture on, and other servers, each installed in an
environment of its own that is thrown away. Two worker processes each.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from load import Result, measure, running, warm_up  # noqa: E402
from peers import CONTENDERS, PEERS, Ask, command_of, install, request_of  # noqa: E402

_PYTHON = sys.executable
_OURS = ("everloop", "everloop-uncaptured")
_FLOORS = ("floor-uvicorn", "floor-granian", "floor-wire")


def main() -> int:
    """Run what is asked for and print tables and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [*_FLOORS, "inside", *_OURS, *PEERS]
    parser.add_argument("--only", action="append", choices=names, help="several times for several")
    parser.add_argument("--seconds", type=int, default=10, help="of load each")
    parser.add_argument("--model", choices=("tiny", "resnet"), action="append")
    parser.add_argument("--connections", type=int, help="64 for tiny, 8 for resnet")
    parser.add_argument("--environments", type=Path, help="keep the others' environments here")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed: apt-get install wrk")
    environment = [str(HERE), str(ROOT / "src"), str(ROOT / "runtime/src")]
    os.environ["PYTHONPATH"] = os.pathsep.join(environment)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for kind in options.model or ("tiny", "resnet"):
            one = _Model(kind, work / kind, options)
            one.run(options.only or names)
            one.report()
    return 0


class _Model:
    """All servers with one model."""

    def __init__(self, kind: str, work: Path, options: argparse.Namespace) -> None:
        sys.path[:0] = [str(ROOT / "src"), str(ROOT / "runtime/src")]
        from models import bundle, expected, picture

        self.kind, self.work, self.options = kind, work, options
        # A slow model answers a second's worth of 64 connections only after the load is over.
        self.connections = options.connections or (64 if kind == "tiny" else 8)
        work.mkdir()
        self.bundle = bundle(kind, work / "bundles")
        self.picture = picture(kind, 3)
        self.model = work / "bundles" / self.bundle / "model.onnx"
        self.expected = expected(kind, self.model.read_bytes(), self.picture)
        self.results: list[Result] = []
        self.inside = {"per_second": 0.0, "alone_ms": 0.0}
        self.single: Result | None = None
        self.notes: list[str] = []

    def run(self, names: Iterable[str]) -> None:
        """Measure these, one after another."""
        os.environ.update(BENCH_MODEL=str(self.model), BENCH_KIND=self.kind)
        for name in names:
            print(f"{self.kind}: {name} ...", file=sys.stderr, flush=True)
            try:
                if name == "inside":
                    self._inside()
                elif name in _OURS:
                    self._ours(name)
                elif name in _FLOORS:
                    self._floor(name)
                else:
                    self._peer(name)
            except (SystemExit, subprocess.CalledProcessError) as error:
                self.notes.append(f"{name} did not run: {str(error)[-600:]}")

    def _inside(self) -> None:
        command = [_PYTHON, str(HERE / "inside.py"), self.kind, str(self.model),
                   str(self.options.seconds)]  # fmt: skip
        both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        told = [json.loads(one.communicate()[0]) for one in both]
        self.inside["per_second"] = sum(one["per_second"] for one in told)
        alone = subprocess.run([*command[:-1], "0.1"], check=True, capture_output=True)
        self.inside["alone_ms"] = json.loads(alone.stdout)["alone_ms"]

    def _ours(self, name: str) -> None:
        port = _free_port()
        routes = self.work / "routes.json"
        routes.write_text(json.dumps({"champion": self.bundle, "generation": 1}))
        command = [_PYTHON, "-m", "everloop_runtime.main", "--routes", str(routes), "--workers",
                   "2", "--bundles", str(self.work / "bundles"), "--port", str(port),
                   "--capture", str(self.work / f"capture-{name}")]  # fmt: skip
        if name == "everloop-uncaptured":
            command += ["--capture-mode", "sampled", "--capture-share", "0"]
        ask = Ask("/v1/predict", self.picture)
        with running(command, ask, port, self.work, os.environ, self.expected) as ready:
            self._measure(name, ask, port, ready)
        if name == "everloop":
            command[command.index("--workers") + 1] = "1"
            with running(command, ask, port, self.work, os.environ, self.expected) as ready:
                seconds = self.options.seconds
                warm_up(ask, port, 1, 1, self.work)
                one = measure(name, ask, port, seconds, 1, self.work)
                self.single = Result(**{**vars(one), "ready_s": ready})

    def _floor(self, name: str) -> None:
        port, ask = _free_port(), Ask("/", self.picture)
        if name == "floor-wire":
            command = [_PYTHON, str(HERE / "floors.py"), "wire", str(port), "2"]
        else:
            needs = {"floor-uvicorn": ["uvicorn[standard]"], "floor-granian": ["granian"]}[name]
            programs = self._environment(name, needs)
            command = {
                "floor-uvicorn": [f"{programs}/uvicorn", "floors:asgi", "--workers", "2",
                                  "--no-access-log", "--log-level", "error", "--port", str(port)],
                "floor-granian": [f"{programs}/granian", "--interface", "rsgi", "floors:rsgi",
                                  "--no-access-log", "--port", str(port)],
            }[name]  # fmt: skip
        with running(command, ask, port, HERE, os.environ) as ready:
            self._measure(name, ask, port, ready)

    def _peer(self, name: str) -> None:
        port = _free_port()
        programs = install(name, self._environments())
        command, environment = command_of(name, programs, self.work / name, port)
        ask = request_of(PEERS[name], self.picture)
        with running(command, ask, port, CONTENDERS, environment, self.expected) as ready:
            self._measure(name, ask, port, ready)

    def _measure(self, name: str, ask: Ask, port: int, ready: float) -> None:
        connections, seconds = self.connections, self.options.seconds
        warm_up(ask, port, 2, connections, self.work)
        found = measure(name, ask, port, seconds, connections, self.work)
        self.results.append(Result(**{**vars(found), "ready_s": ready}))

    def _environments(self) -> Path:
        kept: Path | None = self.options.environments
        return (kept or self.work / "environments").absolute()

    def _environment(self, name: str, needs: list[str]) -> Path:
        folder = self._environments() / name
        if not (folder / "installed").exists():
            subprocess.run([_PYTHON, "-m", "venv", str(folder)], check=True)
            subprocess.run([str(folder / "bin/pip"), "install", "-q", *needs], check=True)
            (folder / "installed").touch()
        return folder / "bin"

    def report(self) -> None:
        """Print the table and the ratios that were aimed at."""
        table = Table(title=f"{self.kind}: {self.connections} connections, two workers")
        for column in ("server", "req/s", "p50 ms", "p99 ms", "CPU us/req", "MB", "ready s", "bad"):
            table.add_column(column, justify="left" if column == "server" else "right")
        for one in sorted(self.results, key=lambda result: -result.per_second):
            table.add_row(one.name, f"{one.per_second:,.0f}", f"{one.p50_ms:.2f}",
                          f"{one.p99_ms:.2f}", f"{one.cpu_us:.0f}", f"{one.memory_mb:.0f}",
                          f"{one.ready_s:.2f}", str(one.failed))  # fmt: skip
        console = Console(width=100)
        console.print(table)
        for line in [*self._ratios(), *self.notes]:
            console.print(line, markup=False)

    def _ratios(self) -> Iterable[str]:
        speed = {one.name: one.per_second for one in self.results if one.per_second}
        ours = speed.get("everloop")
        if ours is None:
            return
        floors = [speed[name] for name in _FLOORS[:2] if name in speed]
        if floors:
            yield f"of the best HTTP floor: {ours / max(floors):.0%} (aim, tiny: 60%)"
        if limit := self.inside["per_second"]:
            yield f"of the in-process limit, {limit:,.0f}/s: {ours / limit:.0%} (aim, resnet: 95%)"
        if plain := speed.get("everloop-uncaptured"):
            yield f"capture costs {1 - ours / plain:.1%} of the throughput (aim: 5%)"
        peers = {name: speed[name] for name in PEERS if name in speed}
        if peers:
            best = max(peers, key=lambda name: peers[name])
            yield f"of the best peer, {best}: {ours / peers[best]:.1f} times (aim, tiny: 3)"
        if self.single and (alone := self.inside["alone_ms"]):
            yield (
                f"one connection: p99 {self.single.p99_ms:.2f} ms; the model alone takes "
                f"{alone:.2f} ms (aim: at most {1.3 * alone + 1:.2f} ms)"
            )
        if self.single:
            yield (
                f"one worker: ready in {self.single.ready_s:.2f} s (aim: 1 s), "
                f"{self.single.memory_mb:.0f} MB (aim: 150 MB)"
            )


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
