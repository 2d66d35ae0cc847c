"""Requests whose head is known already mean what they would mean to the parser."""

import random

import pytest

from everloop_runtime.arriving import Arriving, WireLimits
from everloop_runtime.head import Head, Request
from everloop_runtime.problems import Problem


class Heard:
    """Remembers what arrives, and is the application that admits it."""

    def __init__(self, most: int = 1000) -> None:
        self.epoch = 0
        self.requests: list[tuple[str, bytes, dict[bytes, bytes], bool]] = []
        self.statuses: list[int] = []
        self.admitted = 0
        self._most = most

    def refused(self, head: Head, problem: Problem) -> None:  # noqa: ARG002
        raise AssertionError

    def admit(self, head: Head) -> int | Problem:  # noqa: ARG002
        self.admitted += 1
        return self._most

    def answer(self, *_: object) -> None:
        raise AssertionError

    def take(self, request: Request, *, keep: bool) -> None:
        self.requests.append((request.path, request.body, request.headers, keep))

    def expected(self) -> None:
        return

    def refuse(self, problem: Problem) -> None:
        self.statuses.append(problem.status)


def arriving(heard: Heard) -> Arriving:
    return Arriving(heard, heard, WireLimits(), "here", lambda: 0.0)


def post(
    body: bytes, *lines: str, length: int | None = None, name: str = "Content-Length"
) -> bytes:
    size = len(body) if length is None else length
    head = ["POST /v1/predict HTTP/1.1", "Host: a", f"{name}: {size}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


BODIES = [b"", b"x", b"\r\n\r\n", b"0" * 9, b"1" * 10, b"\r", b"GET / HTTP/1.1\r\n\r\n", b"y" * 999]


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "CONTENT-LENGTH"])
def test_a_head_that_comes_again_is_not_parsed_again_and_means_the_same(name: str) -> None:
    known, parsed = Heard(), Heard()
    one = arriving(known)
    for body in BODIES * 3:
        data = post(body, "X-Everloop-Key: k", name=name)
        one.feed(data)
        arriving(parsed).feed(data)
    assert known.requests == parsed.requests
    assert known.admitted == 2 and parsed.admitted == len(BODIES) * 3


def test_however_the_bytes_are_cut_the_requests_are_the_same() -> None:
    draw = random.Random(3)
    data = [post(draw.choice(BODIES), f"X-Request-Id: {draw.randrange(3)}") for _ in range(400)]
    whole, cut = Heard(), Heard()
    one, other = arriving(whole), arriving(cut)
    for piece in data:
        one.feed(piece)
    stream = b"".join(data)
    while stream:
        # Some end where a request does, most do not.
        size = draw.choice([1, 7, 60, 200, stream.find(b"POST", 1) if b"POST" in stream[1:] else 9])
        other.feed(stream[:size])
        stream = stream[size:]
    assert cut.requests == whole.requests
    assert len(whole.requests) == 400


@pytest.mark.parametrize(
    "second",
    [
        post(b"abc", length=2),
        post(b"abc", length=2) + post(b"de"),
        post(b"abc", "Connection: close"),
        post(b"abc", "X-More: 1"),
        post(b"abc" * 400),
        post(b"", length=99_999_999_999_999),
        post(b"abc").replace(b": 3", b": 3 "),
        post(b"abc").replace(b": 3", b": 003"),
        post(b"abc").replace(b": 3", b": +3"),
        post(b"abc").replace(b": 3", b": 3, 3"),
        post(b"abc").replace(b"Host: a", b"Host: a\r\nContent-Length: 4"),
        post(b"abc").replace(b"Host: a", b"Host: a\r\nTransfer-Encoding: chunked"),
        b"\r\n" + post(b"abc"),
        post(b"abc") + b"\r\n",
    ],
)
def test_what_differs_from_the_known_head_is_judged_by_the_parser(second: bytes) -> None:
    known, parsed = Heard(), Heard()
    one = arriving(known)
    for _ in range(3):
        one.feed(post(b"abc"))
    del known.requests[:]
    one.feed(second)
    arriving(parsed).feed(second)
    assert (known.requests, known.statuses) == (parsed.requests, parsed.statuses)


def test_a_known_head_is_admitted_anew_once_the_application_says_so() -> None:
    heard = Heard()
    one = arriving(heard)
    for _ in range(4):
        one.feed(post(b"abc"))
    assert heard.admitted == 2
    heard.epoch += 1
    for _ in range(4):
        one.feed(post(b"abc"))
    assert heard.admitted == 3
    assert len(heard.requests) == 8
