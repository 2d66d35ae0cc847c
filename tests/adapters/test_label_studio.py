"""Label Studio as a backend: against a real server where one is installed, and its forms."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.label_studio_server import (
    Server,
    label_studio_server,
    missing_label_studio,
)
from tests.support.pages import CLASSES, Filled, fill, now, pages_of, record, things_project
from tests.support.pictures import flat
from tests.support.projects import until

from everloop.adapters.label_studio import LabelStudio
from everloop.adapters.label_studio_form import check_config, config, label_of, result_of
from everloop.errors import Refused, Unavailable
from everloop.ids import LabelTaskId
from everloop.labelling.backend import Backend, Pushed
from everloop.labels import Box, BoxesLabel, ClassesLabel, ClassLabel, Label, ValueLabel
from everloop.loop.label_hook import PATH, begin_calls, end_calls
from everloop.loop.label_sync import sync
from everloop.loop.project import Project
from everloop.testing.labelling import BackendContract

_WHY = missing_label_studio()
real = pytest.mark.skipif(_WHY is not None, reason=str(_WHY))
DARK, BRIGHT = CLASSES[:2]
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with label_studio_server(tmp_path_factory.mktemp("label-studio")) as running:
        yield running


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Filled]:
    project = things_project(tmp_path_factory.mktemp("pushed") / "things")
    return project, fill(project, tasks=6)


def _backend(server: Server) -> LabelStudio:
    return LabelStudio(server.url, server.token, "things", "one-of", CLASSES)


def _rows(client: httpx.Client, project: int) -> list[dict[str, Any]]:
    told = client.get("/api/tasks/", params={"project": project, "fields": "all", "page_size": 100})
    rows: list[dict[str, Any]] = told.json()["tasks"]
    return sorted(rows, key=lambda row: str(row["data"]["everloop_task"]))


def _annotate(client: httpx.Client, task: int, label: str, cancelled: bool = False) -> int:
    result = [] if cancelled else result_of(ClassLabel(label), 24, 24)
    body = {"result": result, "was_cancelled": cancelled}
    told = client.post(f"/api/tasks/{task}/annotations/", json=body)
    assert told.status_code == 201, told.text
    return int(told.json()["id"])


@real
def test_tasks_go_there_once_and_answers_come_back_once(
    server: Server, filled: tuple[Project, Filled]
) -> None:
    project, put = filled
    backend = _backend(server)
    assert sync(project, backend, most=4, now=now()).pushed == 4
    again = sync(project, _backend(server), most=4, now=now())
    assert (again.pushed, again.withdrawn) == (0, 0)
    with server.client() as client:
        rows = _rows(client, backend.project)
        assert [row["data"]["everloop_task"] for row in rows] == list(put.tasks[:4])
        offered = [row["predictions"][0]["result"][0]["value"]["choices"][0] for row in rows]
        assert offered == [DARK, BRIGHT, DARK, BRIGHT]
        picture = client.get(rows[0]["data"]["image"])
        proof = project.queue.shown(1)[0].cleared
        assert picture.content == project.data.renditions.read(proof.rendition)

        first = _annotate(client, rows[0]["id"], BRIGHT)
        _annotate(client, rows[1]["id"], "", cancelled=True)
        back = sync(project, backend, most=4, now=now())
        assert (back.answers, back.skipped, back.problems) == (1, 1, ())
        assert back.pushed == 2, "as many as were answered"
        (answer,) = project.queue.answered_unrecorded()
        assert (answer.id, answer.label, answer.by) == (put.tasks[0], BRIGHT, "ann@example.org")
        nothing = sync(project, backend, most=4, now=now())
        assert (nothing.answers, nothing.skipped, nothing.pushed, nothing.withdrawn) == (0, 0, 0, 0)

        # It is recorded, and changed there afterwards.
        record(project)
        changed = {"result": result_of(ClassLabel(DARK), 24, 24)}
        assert client.patch(f"/api/annotations/{first}/", json=changed).status_code == 200
        assert sync(project, backend, most=4, now=now()).answers == 1
        record(project)
        sample = project.queue.sample_of(put.tasks[0])
        assert project.data.annotations.standing([sample])[sample].label == DARK
        said = [a.label for a in project.data.annotations.history(sample) if "@" in a.by]
        assert said == [BRIGHT, DARK]


@real
def test_what_somebody_else_answered_meanwhile_is_taken_away_or_told(
    server: Server, filled: tuple[Project, Filled]
) -> None:
    project, put = filled
    backend = _backend(server)
    there = backend.there()
    third, fourth = put.tasks[2:4]
    project.queue.answer(third, DARK, "bob", now())
    project.queue.answer(fourth, DARK, "bob", now())
    with server.client() as client:
        place = client.get(f"/api/tasks/{there[third].name}/").json()["data"]["image"]
        assert client.get(place).status_code == 200
        _annotate(client, int(there[fourth].name), BRIGHT)
        done = sync(project, backend, most=4, now=now())
        (problem,) = done.problems
        assert "bob answered task" in problem and done.withdrawn == 1
        assert third not in backend.there() and fourth in backend.there()
        assert client.get(place).status_code != 200, "the picture goes with its task"
        turned = {"value": {"choices": [DARK, BRIGHT]}, "from_name": "label", "to_name": "image",
                  "type": "choices"}  # fmt: skip
        body = {"result": [turned]}
        client.post(f"/api/tasks/{there_id(backend, put.tasks[4])}/annotations/", json=body)
        (problem,) = sync(project, backend, most=4, now=now()).problems
        assert "2 classes were chosen" in problem


def there_id(backend: LabelStudio, task: LabelTaskId) -> str:
    return backend.there()[task].name


@real
def test_a_personal_token_does_too_and_a_wrong_one_or_another_project_is_refused(
    server: Server,
) -> None:
    with server.client() as client:
        made = client.post("/api/token/", json={})
        assert made.status_code == 201, made.text
    personal = LabelStudio(server.url, made.json()["token"], "things", "one-of", CLASSES)
    assert personal.project == _backend(server).project
    with pytest.raises(Refused, match="LABEL_STUDIO_API_KEY"):
        LabelStudio(server.url, "0" * 40, "things", "one-of", CLASSES)
    with pytest.raises(Refused, match="asks something else"):
        LabelStudio(server.url, server.token, "things", "one-of", ("cat",))


@real
def test_a_call_of_the_server_brings_an_answer_and_a_missed_one_is_not_lost(
    server: Server, tmp_path: Path
) -> None:
    project = things_project(tmp_path / "called")
    put = fill(project, tasks=3)

    def backend(_: Project) -> LabelStudio:
        return LabelStudio(server.url, server.token, "called", "one-of", CLASSES)

    mine = backend(project)
    sync(project, mine, most=3, now=now())
    numbers = {task: int(there.name) for task, there in mine.there().items()}

    def answered() -> set[LabelTaskId]:
        return {answer.id for answer in project.queue.answered_unrecorded()}

    with server.client() as client:
        with pages_of(project, label_backend=backend) as pages:
            for _ in "12":
                begin_calls(project, mine, pages.url, timedelta(days=1), by="ann", now=now())
            (hook,) = client.get("/api/webhooks/", params={"project": mine.project}).json()
            assert (hook["url"], hook["send_payload"]) == (pages.url + PATH, False)
            assert set(hook["actions"]) == {"ANNOTATION_CREATED", "ANNOTATION_UPDATED"}
            _annotate(client, numbers[put.tasks[0]], BRIGHT)
            until(lambda: answered() == {put.tasks[0]}, 60)
        # Nobody takes its call now: it comes with the next round.
        _annotate(client, numbers[put.tasks[1]], DARK)
        assert answered() == {put.tasks[0]}
        assert sync(project, mine, most=3, now=now()).answers == 1
        assert answered() == set(put.tasks[:2])
        assert end_calls(project, mine, by="ann", now=now()) == (1, 1)
        assert client.get("/api/webhooks/", params={"project": mine.project}).json() == []


@real
class TestRealServer(BackendContract):
    """A project of its own for each test."""

    @pytest.fixture(autouse=True)
    def _served(self, server: Server) -> None:
        self._server = server

    def backend(self) -> Backend:
        title = f"contract {next(_NUMBERS)}"
        return LabelStudio(self._server.url, self._server.token, title, "one-of", CLASSES)

    def pushed(self, task: LabelTaskId) -> Pushed:
        return Pushed(task, flat(90), "png", 8, 8, ClassLabel(DARK), 0.5, "b" * 64)

    def answer(self, backend: Backend, task: LabelTaskId) -> Label:
        with self._server.client() as client:
            _annotate(client, int(backend.there()[task].name), BRIGHT)
        return ClassLabel(BRIGHT)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="did not answer"):
        LabelStudio("http://127.0.0.1:9", "0" * 40, "things", "one-of", CLASSES)


@pytest.mark.parametrize(
    ("widget", "label"),
    [
        ("one-of", ClassLabel('<a "b">')),
        ("any-of", ClassesLabel(("a", "b"))),
        ("figure", ValueLabel(2.5)),
        ("boxes", BoxesLabel((Box("a", 0.25, 0.5, 0.75, 1.0),))),
    ],
)
def test_labels_go_there_and_back(widget: Any, label: Any) -> None:
    assert label_of(result_of(label, 40, 20), widget) == label
    text = config(widget, ("a", "b", '<a "b">'))
    check_config(text, widget, ('<a "b">', "b", "a"))
    with pytest.raises(Refused):
        check_config("<View/>", widget, ("a", "b", '<a "b">'))


@pytest.mark.parametrize(
    "change", [{"rotation": 10}, {"width": 0}, {"x": 120}, {"rectanglelabels": []}]
)
def test_a_rectangle_that_is_no_box_is_refused(change: dict[str, Any]) -> None:
    (row,) = result_of(BoxesLabel((Box("a", 0.1, 0.1, 0.5, 0.5),)), 10, 10)
    with pytest.raises(Refused):
        label_of([{**row, "value": {**row["value"], **change}}], "boxes")
    hair = {**row, "value": {**row["value"], "x": -0.01, "width": 50}}
    label = label_of([hair], "boxes")
    assert isinstance(label, BoxesLabel) and label.boxes[0].left == 0
