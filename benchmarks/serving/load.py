"""Load by wrk, and what a server costs under it."""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from peers import Ask, is_right

_MARK = "BENCH_SERVER"
_IDLE = 0.2
"""Processors that a server may keep busy with nothing to do."""
_TICKS = os.sysconf("SC_CLK_TCK")
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Result:
    """What one server did."""

    name: str
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Processor time of the server a request."""
    memory_mb: float
    """Of all its processes; shared pages count once."""
    failed: int
    ready_s: float = 0.0


@contextlib.contextmanager
def running(
    command: Sequence[str],
    ask: Ask,
    port: int,
    cwd: Path,
    environment: Mapping[str, str],
    expected: Sequence[float] | None = None,
) -> Iterator[float]:
    """A server, and the seconds until it answered; ended on leaving.

    `expected`: the probabilities that it must answer; None, and any answer will do.
    """
    began = time.monotonic()
    log = Path(tempfile.gettempdir()) / f"server-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**environment, _MARK: str(port)},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        while (answer := _answer(port, ask)) is None:
            if process.poll() is not None or time.monotonic() - began > 180:
                raise SystemExit(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)
        ready = time.monotonic() - began
        if expected is not None and not is_right(answer, expected):
            raise SystemExit(f"{command[0]} gives a wrong answer: {answer[:500]!r}")
        yield ready
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for left in _family(port):
            # Some servers leave processes behind that listen on.
            with contextlib.suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)
        log.unlink(missing_ok=True)


def _answer(port: int, ask: Ask) -> bytes | None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{ask.path}", ask.body, {"Content-Type": ask.kind}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            told: bytes = answer.read()
            return told
    except (OSError, urllib.error.URLError):
        return None


def warm_up(ask: Ask, port: int, seconds: int, connections: int, work: Path) -> None:
    """Load a server, and return once it has dealt with what was left of that."""
    measure("", ask, port, seconds, connections, work)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        before = _cpu(_family(port))
        time.sleep(0.5)
        if _cpu(_family(port)) - before < _IDLE * 0.5:
            return


def measure(name: str, ask: Ask, port: int, seconds: int, connections: int, work: Path) -> Result:
    """Load a running server."""
    script, body = work / "ask.lua", work / "body"
    body.write_bytes(ask.body)
    script.write_text(
        f'local f = io.open("{body}", "rb")\nwrk.body = f:read("*all")\nf:close()\n'
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "{ask.kind}"\n'
    )
    family = _family(port)
    before = _cpu(family)
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "--timeout", "30",
         "-s", str(script), f"http://127.0.0.1:{port}{ask.path}"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    family = _family(port)
    spent, out = _cpu(family) - before, done.stdout
    asked = int(_found(r"(\d+) requests in", out))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return Result(
        name,
        float(_found(r"Requests/sec:\s+(\S+)", out)),
        _ms(out, "50%"),
        _ms(out, "99%"),
        1e6 * spent / max(1, asked),
        _memory(family),
        int(bad[1]) if bad else 0,
    )


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]


def _ms(out: str, share: str) -> float:
    number, unit = re.search(rf"{share}\s+([\d.]+)(us|ms|s|m)\b", out).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS[unit]


def _family(port: int) -> list[int]:
    """All processes of the server on a port, whatever they became: they keep its environment."""
    mark, found = f"{_MARK}={port}".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in environment:
                found.append(int(entry.name))
    return found


def _cpu(pids: Sequence[int]) -> float:
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def _memory(pids: Sequence[int]) -> float:
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        found = re.search(r"Pss:\s+(\d+)", rollup)
        total += int(found[1]) if found else 0
    return total / 1024
