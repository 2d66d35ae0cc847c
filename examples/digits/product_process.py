"""`everloop up` as a process, and what it tells of its life."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Event = Mapping[str, Any]


class ProductProcess:
    """Runs the product for as long as the block lasts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._started = threading.Event()
        self.service = ""
        self.tracker = ""
        self.pages = ""
        """Where the first administrator logs in."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "everloop.app", "up", "--json"]
        self._process = subprocess.Popen(
            [*command, "--project", str(self._folder)], stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        while not self._started.wait(0.1):
            if self._process.poll() is not None:
                raise SystemExit("everloop up ended before it began")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            told = json.loads(line)
            if "service" in told:
                self.service, self.tracker = told["service"], told["tracker"]
                self.pages = told["log_in"] or told["pages"] or ""
                self._started.set()
                continue
            with self._lock:
                self._events.append(told)
            if told["kind"] != "collect":
                print(_line(told), flush=True)

    def events(self) -> list[Event]:
        """All that the loop did so far."""
        with self._lock:
            return list(self._events)

    def count(self, kind: str, **inputs: str) -> int:
        """How many Actions of a kind, with these inputs, have ended well."""
        return len(
            [
                event
                for event in self.events()
                if event["kind"] == kind
                and event["error"] is None
                and inputs.items() <= event["inputs"].items()
            ]
        )

    def canary_steps_before(self, promotions: int) -> int:
        """How many canary steps there were up to the n-th promotion."""
        steps = seen = 0
        for event in self.events():
            steps += int(event["kind"] == "canary")
            seen += int(event["kind"] == "promote")
            if seen == promotions:
                return steps
        return steps

    def wait_for(self, kind: str, seconds: float) -> None:
        """Return when an Action of a kind has ended well."""
        deadline = time.monotonic() + seconds
        while not self.count(kind):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the loop never came to {kind}; see everloop why")
            time.sleep(0.1)


def _line(told: Event) -> str:
    clock = told["at"][11:19]
    return f"{clock}  {told['kind']:<14} {told['told']}\n          why: {told['reason']}"
