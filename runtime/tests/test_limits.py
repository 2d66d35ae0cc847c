"""Who may ask, how much at once, and what several workers have in common."""

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.support.bundles import graph, make_bundle
from tests.support.pictures import flat, noise
from tests.support.services import Running, running_service

from everloop_runtime.client import Client
from everloop_runtime.errors import EverloopError, Refused, Unavailable
from everloop_runtime.keys import add_key, read_keys, revoke_key
from everloop_runtime.routes import Routes


def _status(running: Running, method: str, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    connection.request(method, path, flat(9) if method == "POST" else None, headers)
    return connection.getresponse().status


def test_with_keys_only_their_clients_are_answered(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    shop = add_key(keys, "shop", 1.0)
    other = add_key(keys, "other", 2.0)
    assert shop not in keys.read_text()
    assert keys.stat().st_mode & 0o077 == 0
    champion = make_bundle(tmp_path / "bundles")
    routes = Routes(generation=1, champion=champion)
    with running_service(tmp_path, routes, "--keys", str(keys), ready=False) as running:
        with Client(running.url, api_key=shop) as client:
            client.wait_ready(30)
            prediction = client.predict(flat(9)).prediction_id
            client.feedback(prediction, "event", 1)
        assert _status(running, "GET", "/readyz") == 200
        assert _status(running, "GET", "/v1/status") == 401
        assert _status(running, "POST", "/v1/predict", **{"X-API-Key": other}) == 200
        assert _status(running, "POST", "/v1/predict", **{"X-API-Key": other[:-1]}) == 401
        assert _status(running, "POST", "/v1/predict", Authorization=f"Basic {shop}") == 401
        assert revoke_key(keys, "other", 3.0) == 1
        deadline = time.monotonic() + 20
        while _status(running, "POST", "/v1/predict", **{"X-API-Key": other}) != 401:
            assert time.monotonic() < deadline
        keys.write_text("broken")
        assert _status(running, "POST", "/v1/predict", **{"X-API-Key": shop}) == 200
    with pytest.raises(Refused, match="is not a file of API keys"):
        read_keys(keys)


def test_a_file_of_keys_that_is_not_there_is_no_open_door(tmp_path: Path) -> None:
    from everloop_runtime.main import main

    options = ["--routes", "r", "--bundles", "b", "--capture", "c", "--keys", str(tmp_path / "no")]
    assert main(options) == 3


def _slow_graph() -> bytes:
    return graph(loops_on_bright=400_000)


def test_too_many_at_once_are_told_when_to_come_back(tmp_path: Path) -> None:
    champion = make_bundle(tmp_path / "bundles", model=_slow_graph())
    routes = Routes(generation=1, champion=champion)
    limits = ("--in-flight-of-one", "2", "--in-flight", "3")
    with running_service(tmp_path, routes, *limits) as running:
        told: list[tuple[int, str | None]] = []

        def ask() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
            connection.request("POST", "/v1/predict", flat(250))
            answer = connection.getresponse()
            told.append((answer.status, answer.headers["Retry-After"]))

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counted = Counter(told)
        assert counted[(200, None)] >= 2
        assert counted[(429, "1")] >= 1
        assert set(counted) == {(200, None), (429, "1")}
        with Client(running.url, retries=3) as client:
            assert client.predict(flat(9)).label == "dark"


def test_a_request_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    champion = make_bundle(tmp_path / "bundles", model=graph(loops_on_bright=2**40))
    routes = Routes(generation=1, champion=champion)
    with running_service(tmp_path, routes, "--deadline", "0.5") as running:
        with running.client() as client, pytest.raises(Unavailable, match=r"503.*within 0.5 s"):
            client.predict(flat(250))
        assert _status(running, "GET", "/livez") == 200


def test_workers_answer_as_one(tmp_path: Path) -> None:
    bundles = [make_bundle(tmp_path / "bundles", lean) for lean in (0.0, 1.0)]
    routes = Routes(generation=1, champion=bundles[0])
    with running_service(tmp_path, routes, "--workers", "2", ready=False) as running:
        with running.client() as client:
            client.wait_ready(60)
        asked: list[Any] = []
        for seed in range(40):
            # A new connection each time: the workers share them.
            with running.client() as client:
                asked.append((noise(seed), client.predict(noise(seed))))
        with running.client() as client:
            status = client.status()
            assert status["workers"] == 2
            client.flush()
        captured = {record.prediction: record.image for record in running.captured()}
        assert captured == {answer.prediction_id: picture for picture, answer in asked}
        running.route(Routes(generation=2, champion=bundles[1]))
        for seed in range(20):
            with running.client() as client:
                assert client.predict(noise(seed)).bundle == bundles[1]
        connection = http.client.HTTPConnection("127.0.0.1", running.port)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        counts = [line for line in text.splitlines() if line.startswith("everloop_requests_total{")]
        assert sum(float(line.rpartition(" ")[2]) for line in counts) >= 40


def test_a_worker_that_dies_is_started_anew(tmp_path: Path) -> None:
    champion = make_bundle(tmp_path / "bundles")
    routes = Routes(generation=1, champion=champion)
    with running_service(tmp_path, routes, "--workers", "2", ready=False) as running:
        with running.client() as client:
            client.wait_ready(60)
            victim = int(client.status()["pid"])
            assert victim != running.process.pid
        os.kill(victim, signal.SIGKILL)
        seen: set[int] = set()
        deadline = time.monotonic() + 40
        while len(seen - {victim}) < 2 and time.monotonic() < deadline:
            try:
                with running.client() as client:
                    assert client.predict(flat(9)).label == "dark"
                    seen.add(int(client.status()["pid"]))
            except EverloopError:
                continue
        assert len(seen - {victim}) == 2


def test_the_supervisors_end_ends_the_workers(tmp_path: Path) -> None:
    champion = make_bundle(tmp_path / "bundles")
    routes = Routes(generation=1, champion=champion)
    with running_service(tmp_path, routes, "--workers", "2", ready=False) as running:
        with running.client() as client:
            client.wait_ready(60)
            worker = int(client.status()["pid"])
        running.process.kill()
        running.process.wait()
        deadline = time.monotonic() + 20
        while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not Path(f"/proc/{worker}").exists()


def test_a_span_of_a_request_belongs_to_the_trace_it_came_with(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the extra 'traces' is not installed")
    champion = make_bundle(tmp_path / "bundles")
    routes = Routes(generation=1, champion=champion)
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with running_service(tmp_path, routes, "--traces", "log") as running:
        with Client(running.url, traceparent=f"00-{trace}-{parent}-01") as client:
            client.predict(flat(9))
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
    lines = map(json.loads, (tmp_path / "log.txt").read_text().splitlines())
    (span,) = [line for line in lines if line["message"] == "POST /v1/predict"]
    assert (span["trace_id"], span["parent_id"], span["status"]) == (trace, parent, "200")
