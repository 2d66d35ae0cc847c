"""A labelling tool calls: its answers are pulled, and that is all that a call can do."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
from tests.support.pages import CLASSES, fill, now, pages_of, things_project
from tests.support.projects import until

from everloop.app.storage import open_data
from everloop.cli.main import run
from everloop.cli.program import Program
from everloop.errors import Refused, Unavailable
from everloop.labelling.backend import Pulled
from everloop.labels import ClassLabel
from everloop.loop.label_hook import PATH, begin_calls, end_calls
from everloop.loop.label_sync import sync
from everloop.testing.labelling import MemoryBackend
from everloop.web.asked import Asked
from everloop.web.pages.hooks import Hooks
from everloop.web.pulling import Pulling
from everloop_runtime.problems import Problem

BRIGHT = CLASSES[1]


class CallingBackend(MemoryBackend):
    """One that can be told to call."""

    def __init__(self) -> None:
        super().__init__()
        self.url, self.token = "", ""
        self.away = False

    def call(self, url: str, token: str) -> None:
        if self.away:
            raise Unavailable("it does not answer")
        self.url, self.token = url, token

    def call_no_more(self, path: str) -> int:
        assert self.url.endswith(path)
        self.url = ""
        return 1


def test_a_call_has_the_answers_pulled_and_what_it_says_is_not_believed(tmp_path: Path) -> None:
    project = things_project(tmp_path / "things")
    put, backend = fill(project, tasks=4), CallingBackend()
    sync(project, backend, most=4, now=now())
    with pages_of(project, label_backend=lambda _: backend) as pages:
        made = begin_calls(project, backend, pages.url, timedelta(days=9), by="ann", now=now())
        assert backend.url == pages.url + PATH
        assert backend.token.encode() not in project.layout.database.read_bytes()

        backend.say(put.tasks[0], ClassLabel(BRIGHT))
        lie = {"task": {"id": put.tasks[1]}, "annotation": {"result": [{"value": "dark"}]}}
        known = {"authorization": f"Bearer {backend.token}"}
        with httpx.Client(trust_env=False, timeout=20) as client:
            told = client.post(backend.url, json=lie, headers=known)
            assert (told.status_code, told.json()) == (202, {"pulled": "soon"})
            until(lambda: bool(project.queue.answered_unrecorded()), 20)
            (answer,) = project.queue.answered_unrecorded()
            assert (answer.id, answer.label, answer.by) == (put.tasks[0], BRIGHT, "ann")

            # Nothing else is open to it, and it opens nothing for a browser.
            assert client.get(f"{pages.url}/label", headers=known).status_code == 403
            entering = {"token": backend.token}
            assert client.post(f"{pages.url}/login", data=entering).status_code == 401
            assert client.post(backend.url, headers=known, content=b"{" * 9).status_code == 202
            large = b"x" * 70_000
            assert client.post(backend.url, headers=known, content=large).status_code == 413
            foreign = {**known, "origin": "https://evil.example"}
            assert client.post(backend.url, json={}, headers=foreign).status_code == 403
            assert client.post(backend.url, json={}).status_code == 401

            # Another registration voids the token of before.
            again = begin_calls(project, backend, pages.url, timedelta(days=9), by="a", now=now())
            assert again.id != made.id
            assert client.post(backend.url, json={}, headers=known).status_code == 401
            known = {"authorization": f"Bearer {backend.token}"}
            url = backend.url
            assert end_calls(project, backend, by="ann", now=now()) == (1, 1)
            assert client.post(url, headers=known).status_code == 401
    project.audit.check()


def test_without_a_tool_there_is_nothing_to_call(tmp_path: Path) -> None:
    with pages_of(things_project(tmp_path / "things")) as pages, pages.client("hook") as tool:
        assert tool.post(PATH, json={}).status_code == 404


def test_a_flood_of_calls_is_turned_away_and_pulled_all_the_same() -> None:
    pulls = list[int]()
    hooks, began = Hooks(lambda: pulls.append(1)), now()

    def call(seconds: float) -> int:
        asked = SimpleNamespace(now=began + timedelta(seconds=seconds))
        try:
            return hooks.label_studio(cast("Asked", asked)).status
        except Problem as problem:
            return problem.status

    assert {call(n / 100) for n in range(600)} == {202}
    assert {call(7 + n / 100) for n in range(100)} == {429}
    assert len(pulls) == 700
    assert call(61) == 202


def test_a_token_is_told_over_no_open_line(tmp_path: Path) -> None:
    project, backend = things_project(tmp_path / "things"), CallingBackend()
    for address in ("http://everloop.example.org", "ftp://localhost", "https://", "https://a:b@c",
                    "https://c/?x=1"):  # fmt: skip
        with pytest.raises(Refused, match="overheard"):
            begin_calls(project, backend, address, timedelta(1), by="ann", now=now())
    assert not backend.token and not project.access.tokens()


def test_a_token_that_no_tool_has_is_void(tmp_path: Path) -> None:
    project, backend = things_project(tmp_path / "things"), CallingBackend()
    backend.away = True
    with pytest.raises(Unavailable):
        begin_calls(project, backend, "http://localhost:1", timedelta(1), by="ann", now=now())
    (token,) = project.access.tokens()
    assert not token.is_good(now())
    with pytest.raises(Refused, match="sync --every"):
        begin_calls(project, MemoryBackend(), "http://localhost:1", timedelta(1), by="a", now=now())


def _counted(first: Callable[[], None]) -> tuple[list[int], threading.Semaphore, Pulling]:
    """How often it pulled, told by a semaphore; `first` is done in the first pull."""
    pulls, done = list[int](), threading.Semaphore(0)

    def pull() -> None:
        pulls.append(len(pulls))
        try:
            if len(pulls) == 1:
                first()
        finally:
            done.release()

    return pulls, done, Pulling(pull, pause=0.0, again=0.0)


def test_many_calls_during_a_pull_are_one_more_pull() -> None:
    go = threading.Event()
    pulls, done, pulling = _counted(lambda: until(go.is_set, 20))
    pulling.soon()
    until(lambda: len(pulls) == 1, 20)
    for _ in range(50):
        pulling.soon()
    go.set()
    assert done.acquire(timeout=20) and done.acquire(timeout=20)
    pulling.close()
    assert pulls == [0, 1]
    pulling.soon()
    assert pulls == [0, 1], "it has ended"


@pytest.mark.parametrize("why", [Unavailable("away"), RuntimeError("a defect")])
def test_a_pull_that_fails_ends_nothing(why: Exception) -> None:
    def fail() -> None:
        raise why

    pulls, done, pulling = _counted(fail)
    pulling.soon()
    assert done.acquire(timeout=20)
    if not isinstance(why, Unavailable):
        pulling.soon()
    # What was away is asked again by itself.
    assert done.acquire(timeout=20)
    pulling.close()
    assert len(pulls) == 2


def test_the_command_begins_and_ends_calls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project, backend = things_project(tmp_path / "things"), CallingBackend()
    program = Program(lambda _: project, open_data, lambda *_: None, lambda _: backend)

    def said(*words: str) -> dict[str, object]:
        where = ["--project", str(project.layout.project), "--json"]
        assert run(program, ["label", "hook", *words, *where]) == 0
        told: dict[str, object] = json.loads(capsys.readouterr().out)
        return told

    begun = said("--address", "https://everloop.example.org/", "--by", "cleo")
    assert backend.url == f"https://everloop.example.org{PATH}"
    (token,) = project.access.tokens()
    assert (token.id, token.role, token.made_by) == (begun["token"], "hook", "cleo")
    assert backend.token not in json.dumps(begun)
    assert said("--off") == {"removed": 1, "void_tokens": 1}
    assert run(program, ["label", "hook", "-C", str(project.layout.project)]) != 0
    assert "--off" in capsys.readouterr().err


def test_a_call_that_was_missed_comes_with_the_next(tmp_path: Path) -> None:
    project = things_project(tmp_path / "things")
    put, backend = fill(project, tasks=3), CallingBackend()
    sync(project, backend, most=3, now=now())
    assert isinstance(backend.pull(""), Pulled)
    for task in put.tasks[:2]:
        backend.say(task, ClassLabel(BRIGHT))
    with pages_of(project, label_backend=lambda _: backend) as pages, pages.client("hook") as tool:
        assert tool.post(PATH).status_code == 202
        until(lambda: len(project.queue.answered_unrecorded()) == 2, 20)
