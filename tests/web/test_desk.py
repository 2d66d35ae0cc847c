"""The labelling desk over the wire: two people, one queue, nothing seen that may not be."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from tests.support.pages import (
    CLASSES,
    Filled,
    Pages,
    disagree,
    fill,
    now,
    pages_of,
    record,
    things_project,
)

from everloop.action import Action
from everloop.labels import Box, BoxesLabel, decode
from everloop.loop.actions.record_answers import record_answers
from everloop.loop.controller import acquire
from everloop.loop.project import Turn
from everloop.state.access import Role


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Pages, Filled]]:
    project = things_project(tmp_path / "things")
    put = fill(project)
    with pages_of(project) as pages:
        yield pages, put


def test_two_labellers_never_get_the_same_task_and_only_their_own_pictures(
    served: tuple[Pages, Filled],
) -> None:
    pages, put = served
    answered: dict[str, list[str]] = {"labeller": [], "approver": []}
    people: tuple[Role, Role] = ("labeller", "approver")
    with pages.client(people[0]) as one, pages.client(people[1]) as two:
        clients = dict(zip(people, (one, two), strict=True))
        while True:
            held = {
                who: c.post("/label/tasks", json={}).json()["tasks"] for who, c in clients.items()
            }
            ids = {who: {task["id"] for task in tasks} for who, tasks in held.items()}
            assert not ids["labeller"] & ids["approver"]
            if not any(held.values()):
                break
            for who, other in (people, people[::-1]):
                if not held[who]:
                    continue
                task = held[who][0]
                assert clients[who].get(task["image"]).status_code == 200
                assert clients[other].get(task["image"]).status_code == 409
                path = f"/label/{task['id']}/answer"
                assert clients[other].post(path, json={"label": "dark"}).status_code == 409
                assert clients[who].post(path, json={"label": "dark"}).status_code == 200
                answered[who].append(task["id"])
    assert sorted(answered["labeller"] + answered["approver"]) == sorted(put.tasks)
    saved = {a.id: a.by for a in pages.project.queue.answered_unrecorded()}
    assert saved == {task: who for who, tasks in answered.items() for task in tasks}


def test_an_answer_may_be_sent_twice_skipped_and_undone(served: tuple[Pages, Filled]) -> None:
    pages, _ = served
    with pages.client("labeller") as client:
        first, second, *_ = client.post("/label/tasks", json={}).json()["tasks"]
        answer = {"label": CLASSES[2]}
        path = f"/label/{first['id']}"
        assert [client.post(f"{path}/answer", json=answer).status_code for _ in "12"] == [200] * 2
        assert client.post(f"/label/{second['id']}/skip", json={"reason": " "}).status_code == 422
        skipped = client.post(f"/label/{second['id']}/skip", json={"reason": "blurred"})
        assert skipped.status_code == 200
        assert client.post(f"{path}/undo", json={}).json()["task"] == first
        (held, *_) = client.post("/label/tasks", json={}).json()["tasks"]
        assert held["id"] == first["id"]
    assert pages.project.queue.counts() == {"open": 11, "skipped": 1}


def test_a_labeller_gets_a_rendition_and_no_name(served: tuple[Pages, Filled]) -> None:
    pages, put = served
    with pages.client("labeller") as client:
        answer = client.post("/label/tasks", json={})
        task = answer.json()["tasks"][0]
        assert set(task) == {"id", "image", "suggestion", "confidence"}
        assert put.samples[0] not in answer.text
        picture = client.get(task["image"])
        assert picture.headers["content-type"] == "image/png"
        assert picture.headers["content-security-policy"] == "sandbox"
        assert client.get(f"/data/samples/{put.samples[0]}/image").status_code == 403


def test_originals_are_for_the_owner_and_made_anew_for_them_too(
    served: tuple[Pages, Filled],
) -> None:
    pages, put = served
    cleared, other = (
        f"/data/samples/{sample}/image" for sample in (put.samples[0], put.samples[-1])
    )
    for role in ("viewer", "approver"):
        with pages.client(role) as client:
            assert client.get(cleared).status_code == 200
            assert client.get(other).status_code == 403
    with pages.client("administrator") as owner:
        picture = owner.get(other)
        original = pages.project.data.samples.read([put.samples[-1]])[0]
        assert picture.status_code == 200 and picture.content != original
        with Image.open(io.BytesIO(picture.content)) as image:
            assert not image.info


def test_boxes_are_saved_in_pixels_and_those_that_leave_the_picture_are_not(
    tmp_path: Path,
) -> None:
    project = things_project(tmp_path / "boxes", boxes=True)
    fill(project, tasks=2)
    with pages_of(project) as pages, pages.client("labeller") as client:
        task = client.post("/label/tasks", json={}).json()["tasks"][0]
        path = f"/label/{task['id']}/answer"
        for bad in ([1, 1, 25, 5], [5, 5, 5, 9], [-1, 0, 4, 4]):
            assert client.post(path, json={"label": {"boxes": [["dark", *bad]]}}).status_code == 422
        good = {"boxes": [["dark", 1, 2, 20.5, 24]]}
        assert client.post(path, json={"label": good}).status_code == 200
    (answered,) = project.queue.answered_unrecorded()
    label = decode(answered.label)
    assert isinstance(label, BoxesLabel) and label.boxes[0].right == 20.5


def test_offered_boxes_are_drawn_in_the_picture_that_labellers_get_and_saved_in_the_original(
    tmp_path: Path,
) -> None:
    # They get pictures of 24 pixels, made from 48: what is offered and said is scaled on the way.
    small = "[privacy]\nmax_side = 24\n"
    project = things_project(tmp_path / "boxes", boxes=True, more=small)
    fill(project, tasks=2, side=48)
    with pages_of(project) as pages, pages.client("labeller") as client:
        task = client.post("/label/tasks", json={}).json()["tasks"][0]
        assert task["suggestion"] == {"boxes": [["bright", 1.0, 1.0, 3.0, 3.0]]}
        answer = {"label": task["suggestion"]}
        assert client.post(f"/label/{task['id']}/answer", json=answer).status_code == 200
        again = client.post(f"/label/{task['id']}/undo", json={}).json()["task"]
        assert again["suggestion"] == task["suggestion"]
        assert client.post(f"/label/{task['id']}/answer", json=answer).status_code == 200
    (answered,) = project.queue.answered_unrecorded()
    label = decode(answered.label)
    assert isinstance(label, BoxesLabel) and label.boxes == (Box("bright", 2, 2, 6, 6),)


def test_two_drawings_of_a_picture_stand_side_by_side_and_one_is_chosen(tmp_path: Path) -> None:
    project = things_project(tmp_path / "boxes", boxes=True)
    sample = fill(project, tasks=1).samples[0]
    one, two = ('{"boxes":[["dark",1.0,2.0,20.5,24.0]]}', '{"boxes":[["bright",0.0,0.0,4.0,4.0]]}')
    disagree(project, sample, {"ann": one, "bob": two})
    record(project)
    with pages_of(project) as pages, pages.client("approver") as client:
        page = client.get("/review").text
        assert page.count('<svg class="drawn" viewBox="0 0 24 24"') == 2
        assert '<rect x="1.0" y="2.0" width="19.5" height="22.0">' in page
        chosen = client.post(f"/review/{sample}", data={"label": two, "at": "0"})
        assert chosen.headers["location"] == f"/review?at=0&done={sample}"
        assert "Nothing waits for a decision" in client.get("/review").text
        record(project)
        told = client.get(f"/data/samples/{sample}").text
        assert "conflict" in told and "Back to the label before" in told
        back = client.post(f"/review/{sample}/undo", data={"from": "sample"})
        assert back.headers["location"] == f"/data/samples/{sample}"
    (conflict, undone) = project.resolutions.of(sample)
    assert (conflict.label, undone.why, undone.by) == (two, "undo", "approver")


def test_a_recorded_answer_is_taken_back_and_changed_and_changed_back(
    served: tuple[Pages, Filled],
) -> None:
    pages, put = served
    project, sample = pages.project, put.samples[0]
    fence = acquire(project, now())
    assert fence is not None
    with pages.client("labeller") as client:
        task = client.post("/label/tasks", json={}).json()["tasks"][0]["id"]
        for label in ("bright", "dark", "bright"):
            client.post(f"/label/{task}/answer", json={"label": label})
            record_answers(project, Turn(fence, now()), Action("record-answers"))
            assert project.data.annotations.standing([sample])[sample].label == label
            assert client.post(f"/label/{task}/undo", json={}).status_code == 200
    said = [a.label for a in project.data.annotations.history(sample) if a.by == "labeller"]
    assert said == ["bright", "dark", "bright"]
