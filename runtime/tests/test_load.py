"""Traffic while bundles are promoted, rolled back and killed: no request fails.

Nothing is sent twice: what fails is seen. A worker that is killed takes along what it was
answering at that moment, one request a connection at most; that is counted, and nothing else may
fail. `EVERLOOP_LOAD=100000 pytest runtime/tests/test_load.py` for more of it.
"""

import logging
import os
import random
import signal
import threading
from collections import Counter
from pathlib import Path

import httpx
from tests.support.bundles import make_bundle
from tests.support.pictures import noise
from tests.support.services import Running, running_service

from everloop.ids import BundleId
from everloop_runtime.client import Client
from everloop_runtime.errors import EverloopError
from everloop_runtime.routes import CanaryRoute, Routes, ShadowRoute

REQUESTS = int(os.environ.get("EVERLOOP_LOAD", "5000"))
_CLIENTS = 4
_log = logging.getLogger(__name__)


class Load:
    """Clients that ask until enough is answered, one connection each; nothing is tried again."""

    def __init__(self, url: str) -> None:
        self.answers: dict[str, bytes] = {}
        self.bundles: Counter[BundleId] = Counter()
        self.failures: list[EverloopError] = []
        self.dropped: list[EverloopError] = []
        """Requests whose connection broke, from when a worker was killed."""
        self.killed = False
        self._url = url
        self._pictures = [noise(seed) for seed in range(64)]
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(_CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        with Client(self._url, timeout=30) as client:
            while len(self.answers) < REQUESTS and not self.failures:
                picture = self._pictures[number % len(self._pictures)]
                number += 1
                try:
                    answer = client.predict(picture)
                except EverloopError as error:
                    is_broken = isinstance(error.__cause__, httpx.TransportError)
                    (self.dropped if self.killed and is_broken else self.failures).append(error)
                    continue
                self.answers[answer.prediction_id] = picture
                self.bundles[answer.bundle] += 1

    def wait_for(self, share: float) -> None:
        """Return once so much of the load is answered."""
        pause = threading.Event()
        while len(self.answers) < share * REQUESTS and not self.failures:
            pause.wait(0.01)


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _on_trial(worker: int) -> list[int]:
    """The processes in which a worker runs what is on trial."""
    return [
        pid
        for task in Path(f"/proc/{worker}/task").glob("*/children")
        for pid in map(int, task.read_text().split())
        if b"everloop_runtime.isolation" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def _lease(bundle: BundleId, share: float) -> CanaryRoute:
    return CanaryRoute(bundle=bundle, share=share, lease_seconds=300, renewal=1)


def test_promotions_rollbacks_and_kills_fail_no_request(tmp_path: Path) -> None:
    one, two, three = (make_bundle(tmp_path / "bundles", lean) for lean in (0.0, 1.0, 2.0))
    first = Routes(generation=1, champion=one)
    with running_service(tmp_path, first, "--workers", "2", ready=False) as running:
        with running.client() as client:
            client.wait_ready(60)
        with Load(running.url) as load:
            _turn(running, load)
            steps = [
                Routes(generation=2, champion=one, canary=_lease(two, 0.3)),
                Routes(generation=3, champion=two, fallback=one),
                Routes(generation=4, champion=one, fallback=two),
                Routes(generation=5, champion=one, canary=_lease(three, 0.5), shadow=ShadowRoute(
                    bundle=two, share=1.0, lease_seconds=300, renewal=1)),
                Routes(generation=6, champion=three),
            ]  # fmt: skip
            for number, routes in enumerate(steps):
                load.wait_for((number + 1) * 0.12)
                running.route(routes)
                if routes.generation == 5:
                    _kill_trials(running)
            load.wait_for(0.75)
            victim = random.choice(_children(running.process.pid))
            load.killed = True
            os.kill(victim, signal.SIGKILL)
        assert load.failures == []
        # `--log-level=INFO -rP` shows it.
        _log.info("%d answered, %d dropped with the worker", len(load.answers), len(load.dropped))
        assert len(load.dropped) <= _CLIENTS
        assert len(load.answers) >= REQUESTS
        assert set(load.bundles) >= {one, two, three}
        with running.client() as client:
            client.flush()
    kept = {record.prediction: record.image for record in running.captured()}
    assert load.answers.items() <= kept.items()


def _turn(running: Running, load: Load) -> None:
    """Both workers have answered before anything is changed."""
    load.wait_for(0.02)
    assert len(_children(running.process.pid)) == 2


def _kill_trials(running: Running) -> None:
    trials = [pid for worker in _children(running.process.pid) for pid in _on_trial(worker)]
    assert trials
    for pid in trials:
        os.kill(pid, signal.SIGKILL)
