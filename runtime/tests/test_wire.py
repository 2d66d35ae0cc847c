"""The wire under clients that are slow, greedy or broken: each is told why, and the rest go on."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.bundles import make_bundle
from tests.support.pictures import flat
from tests.support.services import Running, running_service

from everloop_runtime.routes import Routes


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("wire")
    champion = make_bundle(folder / "bundles")
    with running_service(folder, Routes(generation=1, champion=champion)) as running:
        yield running


def _connected(service: Running) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _sent(service: Running, data: bytes) -> bytes:
    """Everything that is answered until the service hangs up or says no more."""
    with _connected(service) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return _read(connection)


def _read(connection: socket.socket) -> bytes:
    found = b""
    try:
        while data := connection.recv(65536):
            found += data
    except ConnectionResetError:
        pass
    return found


def _post(body: bytes, *headers: str, path: str = "/v1/predict") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _status(answer: bytes) -> int:
    return int(answer.split()[1])


@pytest.mark.parametrize("part", ["head", "body"])
def test_who_sends_a_byte_at_a_time_is_cut_off_within_ten_seconds(
    service: Running, part: str
) -> None:
    request = _post(flat(9))
    with _connected(service) as connection:
        if part == "body":
            end = request.index(b"\r\n\r\n") + 4
            connection.sendall(request[:end])
            request = request[end:]
        connection.settimeout(0.5)
        began = time.monotonic()
        answer = b""
        for byte in request * 100:
            try:
                connection.sendall(bytes([byte]))
                answer += connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            if answer:
                break
        assert time.monotonic() - began < 10
    assert _status(answer) == 408
    assert b"did not arrive within" in answer


def test_what_is_refused_before_it_is_whole_is_counted(service: Running) -> None:
    def counted() -> dict[str, float]:
        with _connected(service) as connection:
            connection.sendall(
                b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            )
            lines = _read(connection).decode().splitlines()
        found = (line.rsplit(" ", 1) for line in lines if line.startswith("everloop_refused_total"))
        return {name.split('"')[1]: float(value) for name, value in found}

    before = counted()
    requests = {
        "400": b"this is no request\r\n\r\n",
        "431": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"x" * 40_000 + b"\r\n\r\n",
        "413": _post(b"").replace(b"Content-Length: 0", b"Content-Length: 999999999999"),
        "404": b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    }
    for status, request in requests.items():
        with _connected(service) as connection:
            connection.sendall(request)
            assert _status(_read(connection)) == int(status)
    after = counted()
    assert {status: after[status] - before.get(status, 0) for status in requests} == dict.fromkeys(
        requests, 1
    )


def test_many_in_one_packet_are_answered_in_their_order(service: Running) -> None:
    pictures = [flat(grey) for grey in (10, 240) * 10]
    last = "Connection: close"
    data = b"".join(_post(picture) for picture in pictures[:-1]) + _post(pictures[-1], last)
    with _connected(service) as connection:
        connection.sendall(data)
        answers = _read(connection)
    bodies = [part for part in answers.split(b"\r\n") if part.startswith(b"{")]
    labels = [json.loads(part[: part.rindex(b"}") + 1].split(b"HTTP/1.1")[0])["label"]
              for part in bodies]  # fmt: skip
    assert labels == ["dark", "bright"] * 10


def test_three_megabytes_in_pieces_of_a_byte_are_refused(service: Running) -> None:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with _connected(service) as connection:
        connection.sendall(head)
        try:
            for _ in range(300):
                connection.sendall(b"1\r\nx\r\n" * 10_000)
        except OSError:
            pass  # It hung up.
        answer = _read(connection)
    assert answer == b"" or _status(answer) == 413


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        (b"GET /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        (b"GET /..%2f..%2fetc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        (b"GET /v2/models/%252e%252e HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        (b"GET /v1/status HTTP/1.1\r\nHost: a\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"GET /v1/status HTTP/1.1\r\n\r\n", 403),
        (b"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"y" * 40_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 431),
        (b"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 300000000\r\n\r\n", 413),
        (
            b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n%b\r\n\r\n"
            % b"Transfer-Encoding: chunked",
            400,
        ),
        (b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n", 400),
    ],
)
def test_a_request_that_cannot_be_taken_is_told_why(
    service: Running, request_text: bytes, status: int
) -> None:
    answer = _sent(service, request_text)
    assert _status(answer) == status
    assert b'"error"' in answer
    assert b"nosniff" in answer


def test_a_request_that_ends_in_the_middle_leaves_the_service_well(service: Running) -> None:
    request = _post(flat(9))
    for end in range(0, len(request), 7):
        with _connected(service) as connection:
            connection.sendall(request[:end])
    assert _status(_sent(service, request)) == 200


def test_a_client_may_ask_before_it_sends_a_large_body(service: Running) -> None:
    body = flat(9)
    with _connected(service) as connection:
        connection.sendall(_post(b"", "Expect: 100-continue").replace(
            b"Content-Length: 0", b"Content-Length: %d" % len(body)))  # fmt: skip
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_the_request_id_comes_back_when_it_is_sane(service: Running) -> None:
    told = _sent(service, _post(flat(9), "X-Request-Id: shop-42.a"))
    assert b"x-request-id: shop-42.a\r\n" in told
    made = _sent(service, _post(flat(9), "X-Request-Id: a b;c"))
    assert b"a b;c" not in made
    assert b"x-request-id: " in made


def test_head_is_answered_without_a_body(service: Running) -> None:
    answer = _sent(service, b"HEAD /livez HTTP/1.1\r\nHost: probe\r\n\r\n")
    assert _status(answer) == 200
    assert answer.endswith(b"\r\n\r\n")


def test_a_refused_request_is_one_redacted_line_of_the_log(service: Running) -> None:
    evil = "Authorization: Bearer secret-token"
    _sent(service, _post(b"no picture", evil, "X-Request-Id: mark-1"))
    path = b"GET /nothing%0a{%22fake%22:1}\x1b[31m?token=abc HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    _sent(service, path)
    log = (Path(service.folder) / "log.txt").read_text()
    assert "secret-token" not in log
    assert "\x1b" not in log
    lines = [json.loads(line) for line in log.splitlines()]
    (told,) = [line for line in lines if line.get("request_id") == "mark-1"]
    assert (told["status"], told["path"]) == ("415", "/v1/predict")
