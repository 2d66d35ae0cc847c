"""The real service in a process of its own: answers, swaps, canaries, crashes, bad clients."""

import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.bundles import graph, make_bundle
from tests.support.pictures import flat, noise
from tests.support.services import COMMAND, Running, running_service

from everloop.ids import BundleId
from everloop.rollout.service import read_address
from everloop_runtime.client import Client, Prediction
from everloop_runtime.errors import EverloopError, Refused, Unavailable
from everloop_runtime.ids import sample_id
from everloop_runtime.routes import CanaryRoute, Routes


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    champion = make_bundle(tmp_path / "bundles")
    with running_service(tmp_path, Routes(generation=1, champion=champion)) as running:
        yield running


class Traffic:
    """Clients that send without a pause until told to stop."""

    def __init__(self, url: str, clients: int = 3) -> None:
        self.answers: list[tuple[bytes, Prediction]] = []
        self.failures: list[EverloopError] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(url, n * 100_000)) for n in range(clients)
        ]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, url: str, seed: int) -> None:
        with Client(url, timeout=20) as client:
            while not self._stop.is_set():
                seed += 1
                picture = noise(seed)
                try:
                    self.answers.append((picture, client.predict(picture)))
                except EverloopError as error:
                    self.failures.append(error)

    def wait_for(self, answers: int) -> None:
        while len(self.answers) < answers and not self.failures:
            time.sleep(0.01)


def test_answers_are_right_and_captured_with_their_original_bytes(service: Running) -> None:
    with service.client() as client:
        dark, bright = client.predict(flat(20)), client.predict(flat(230))
        client.flush()
    assert (dark.label, bright.label) == ("dark", "bright")
    assert abs(sum(dark.probabilities.values()) - 1) < 1e-5
    records = {record.prediction: record for record in service.captured()}
    assert records.keys() == {dark.prediction_id, bright.prediction_id}
    kept = records[dark.prediction_id]
    assert kept.image == flat(20)
    assert kept.sample == sample_id(flat(20))
    assert (kept.label, kept.bundle, kept.role) == ("dark", dark.bundle, "champion")


def test_swapping_the_champion_under_load_drops_nothing(service: Running) -> None:
    bundles = [make_bundle(service.bundles, lean) for lean in (1.0, 2.0)]
    with Traffic(service.url) as traffic:
        for generation in range(2, 10):
            enough = len(traffic.answers) + 30
            service.route(Routes(generation=generation, champion=bundles[generation % 2]))
            traffic.wait_for(enough)
    assert traffic.failures == []
    assert {answer.bundle for _, answer in traffic.answers} >= set(bundles)


def test_sigkill_loses_no_answer_already_given(service: Running) -> None:
    with Traffic(service.url) as traffic:
        traffic.wait_for(300)
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
    captured = {record.prediction: record.image for record in service.captured()}
    assert len(traffic.answers) >= 300
    for picture, answer in traffic.answers:
        assert captured[answer.prediction_id] == picture


def test_a_stop_finishes_what_is_in_flight(service: Running) -> None:
    with service.client() as client:
        client.predict(flat(1))
    slow = socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])))
    body = flat(200)
    head = f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    slow.sendall(head.encode() + body[:10])
    time.sleep(0.2)
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    slow.sendall(body[10:])
    with slow, slow.makefile("rb") as reader:
        answer = reader.read()
    assert b" 200 OK" in answer.splitlines()[0]
    assert b'"label":"bright"' in answer
    assert service.process.wait(30) == 0
    assert len(service.captured()) == 2


def _canary(
    bundle: BundleId, renewal: int = 1, *, share: float = 0.5, lease: float = 30
) -> CanaryRoute:
    return CanaryRoute(bundle=bundle, share=share, lease_seconds=lease, renewal=renewal)


def test_a_canary_gets_its_share_and_each_key_its_one_model(service: Running) -> None:
    with service.client() as client:
        champion = BundleId(str(client.status()["champion"]))
        candidate = make_bundle(service.bundles, 1.0)
        service.route(Routes(generation=2, champion=champion, canary=_canary(candidate)))
        roles = [client.predict(flat(9), key=f"user-{n}").role for n in range(400)]
        again = [client.predict(flat(9), key=f"user-{n}").role for n in range(400)]
    assert roles == again
    # 200 are expected; 140 to 260 is six standard deviations to either side.
    assert 140 < Counter(roles)["canary"] < 260


def test_a_canary_that_nobody_renews_gives_its_share_back(service: Running) -> None:
    with service.client() as client:
        champion = BundleId(str(client.status()["champion"]))
        candidate = make_bundle(service.bundles, 1.0)
        short = _canary(candidate, share=0.99, lease=1.0)
        service.route(Routes(generation=2, champion=champion, canary=short))
        before = Counter(client.predict(flat(9)).role for _ in range(50))
        time.sleep(1.2)
        after = Counter(client.predict(flat(9)).role for _ in range(50))
        assert client.status()["canary_live"] is False
    assert before["canary"] > 30
    assert after == {"champion": 50}


def test_when_the_canary_fails_the_champion_answers(service: Running) -> None:
    with service.client() as client:
        champion = BundleId(str(client.status()["champion"]))
        candidate = make_bundle(service.bundles, 1.0, breaks_on_bright=True)
        canary = _canary(candidate, share=0.999)
        service.route(Routes(generation=2, champion=champion, canary=canary))
        answers = [client.predict(flat(250)) for _ in range(40)]
        client.flush()
        status = client.status()
    assert {(a.label, a.bundle) for a in answers} == {("bright", champion)}
    failed = [r for r in service.captured() if r.status == "error"]
    assert {(r.bundle, r.role) for r in failed} == {(candidate, "canary")}
    # After five failures in a row it is out of the way: nobody waits for it any more.
    assert len(failed) == 5
    assert status["bundles"][candidate]["state"] == "failed"
    assert "5 of its last 5 requests failed" in status["bundles"][candidate]["reason"]
    assert "not a number" in str(failed[0].error)


def test_a_changed_byte_in_a_bundle_is_never_served(service: Running) -> None:
    with service.client() as client:
        champion = BundleId(str(client.status()["champion"]))
        candidate = make_bundle(service.bundles, 1.0)
        path = service.bundles / candidate / "model.onnx"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        service.route(Routes(generation=2, champion=candidate))
        status = client.status()
        assert "checksum differs" in status["bundles"][candidate]["reason"]
        # The earlier champion goes on rather than nobody.
        assert client.predict(flat(9)).bundle == champion


def test_golden_answers_that_differ_keep_a_bundle_out(service: Running) -> None:
    wrong = make_bundle(service.bundles, model=graph(30.0))
    with service.client() as client:
        champion = client.predict(flat(9)).bundle
        service.route(Routes(generation=2, champion=wrong))
        assert "golden inputs" in client.status()["bundles"][wrong]["reason"]
        assert client.predict(flat(9)).bundle == champion


def test_a_broken_routes_document_changes_nothing(service: Running) -> None:
    with service.client() as client:
        champion = client.predict(flat(9)).bundle
        for text in ("", "{", "[]", '{"champion": "../../etc"}', '{"generation": NaN}'):
            service.routes.write_text(text)
            time.sleep(0.3)
            assert client.status()["complaint"]
            assert client.predict(flat(9)).bundle == champion


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "415"),
        (b"hello", "415"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "415"),
        (b"\x80\x04\x95" + b"cos\nsystem\n(S'id'\ntR.", "415"),
        (noise(1)[:60], "4"),
        (flat(1)[:40] + b"\xff" * 40, "4"),
    ],
    ids=["empty", "text", "svg", "pickle", "truncated", "damaged"],
)
def test_what_is_no_picture_is_refused_with_a_reason(
    service: Running, body: bytes, says: str
) -> None:
    with service.client() as client:
        with pytest.raises(Refused, match=rf"answered {says}.*remedy"):
            client.predict(body)
        assert client.predict(flat(9)).label == "dark"


def test_a_body_over_the_limit_is_cut_off(service: Running) -> None:
    port = int(service.url.rpartition(":")[2])
    declared = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    declared.putrequest("POST", "/v1/predict")
    declared.putheader("Content-Length", str(10**12))
    declared.endheaders()
    assert declared.getresponse().status == 413

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 1_000_000

    chunked = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        chunked.request("POST", "/v1/predict", endless(), encode_chunked=True,
                        headers={"Transfer-Encoding": "chunked"})  # fmt: skip
        assert chunked.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # It hung up before the client had sent all: refused as well.
    with service.client() as client:
        assert client.predict(flat(9)).label == "dark"


@pytest.mark.parametrize("header", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
def test_foreign_hosts_and_pages_are_refused(service: Running, header: dict[str, str]) -> None:
    port = int(service.url.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/v1/predict", flat(9), headers=header)
    assert connection.getresponse().status == 403


def test_a_client_that_goes_away_hurts_nobody(service: Running) -> None:
    port = int(service.url.rpartition(":")[2])
    for _ in range(20):
        gone = socket.create_connection(("127.0.0.1", port))
        gone.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 500\r\n\r\nxx"
        )
        gone.close()
    with service.client() as client:
        assert client.predict(flat(9)).label == "dark"


def test_a_capture_that_cannot_be_written_does_not_stop_answers(tmp_path: Path) -> None:
    champion = make_bundle(tmp_path / "bundles")
    (tmp_path / "capture").write_text("a file where the folder should be")
    with running_service(tmp_path, Routes(generation=1, champion=champion)) as running:
        with running.client() as client:
            assert client.predict(flat(9)).label == "dark"
            assert client.status()["capture"]["dropped"] == 1
        connection = http.client.HTTPConnection("127.0.0.1", int(running.url.rpartition(":")[2]))
        connection.request("GET", "/metrics")
        figures = connection.getresponse().read().decode()
    assert "everloop_capture_dropped" in figures


def test_without_a_model_it_says_when_to_come_back(tmp_path: Path) -> None:
    with running_service(tmp_path, Routes(), ready=False) as running, running.client() as client:
        with pytest.raises(Unavailable, match=r"503.*no model is loaded"):
            client.predict(flat(9))
        champion = make_bundle(running.bundles)
        running.route(Routes(generation=1, champion=champion))
        assert client.predict(flat(9)).bundle == champion


def test_it_listens_on_loopback_unless_told_otherwise(tmp_path: Path) -> None:
    options = ["--routes", "r", "--bundles", "b", "--capture", "c", "--host", "0.0.0.0"]
    done = subprocess.run([*COMMAND, *options], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 3
    assert b"--allow-remote" in done.stderr


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    address = tmp_path / "address.json"
    script = (
        "import subprocess, sys, time;"
        f"subprocess.Popen([{COMMAND[0]!r}, '-m', 'everloop_runtime.main', '--routes', 'r',"
        f"'--bundles', 'b', '--capture', 'c', '--address-file', {str(address)!r},"
        "'--exit-with-parent']); time.sleep(600)"
    )
    parent = subprocess.Popen([COMMAND[0], "-c", script], cwd=tmp_path)
    while (found := read_address(address)) is None:
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while _alive(found.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _alive(found.pid)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, FileNotFoundError):
        return False
