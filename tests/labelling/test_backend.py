"""Carrying tasks to a backend and answers back, with the one in memory."""

from pathlib import Path

import pytest
from tests.support.pages import CLASSES, Filled, fill, now, record, things_project

from everloop.ids import LabelTaskId
from everloop.labelling.backend import Backend, Pushed
from everloop.labels import Box, BoxesLabel, ClassLabel, Label, decode
from everloop.loop.label_sync import sync
from everloop.loop.project import Project
from everloop.testing.labelling import BackendContract, MemoryBackend

DARK, BRIGHT = CLASSES[:2]


class TestMemory(BackendContract):
    """The backend in memory."""

    def backend(self) -> Backend:
        return MemoryBackend()

    def pushed(self, task: LabelTaskId) -> Pushed:
        return Pushed(task, b"picture", "png", 4, 4, ClassLabel(DARK), 0.5, "b" * 64)

    def answer(self, backend: Backend, task: LabelTaskId) -> Label:
        assert isinstance(backend, MemoryBackend)
        backend.say(task, ClassLabel(BRIGHT))
        return ClassLabel(BRIGHT)


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Project, Filled]:
    project = things_project(tmp_path / "things")
    return project, fill(project, tasks=4)


def test_a_round_that_died_halfway_is_done_again_without_harm(
    filled: tuple[Project, Filled],
) -> None:
    project, put = filled
    backend = MemoryBackend()
    sync(project, backend, most=2, now=now())
    backend.say(put.tasks[0], ClassLabel(BRIGHT))
    # The answer was saved, and the process died before it was noted as taken.
    project.queue.answer(put.tasks[0], BRIGHT, "ann", now())
    done = sync(project, backend, most=2, now=now())
    assert (done.answers, done.problems) == (1, ())
    assert [answer.label for answer in project.queue.answered_unrecorded()] == [BRIGHT]
    assert list(backend.tasks) == list(put.tasks[:3])


def test_who_changes_an_answer_there_changes_what_stands(filled: tuple[Project, Filled]) -> None:
    project, put = filled
    backend = MemoryBackend()
    sync(project, backend, most=4, now=now())
    for label in (BRIGHT, DARK):
        backend.say(put.tasks[0], ClassLabel(label))
        assert sync(project, backend, most=4, now=now()).answers == 1
        record(project)
        sample = put.samples[0]
        assert project.data.annotations.standing([sample])[sample].label == label
    backend.say(put.tasks[1], None)
    assert sync(project, backend, most=4, now=now()).skipped == 1
    backend.say(put.tasks[2], ClassLabel("nonsense"))
    (problem,) = sync(project, backend, most=4, now=now()).problems
    assert "nonsense" in problem


def test_what_is_forgotten_here_goes_there_too(filled: tuple[Project, Filled]) -> None:
    project, put = filled
    backend = MemoryBackend()
    sync(project, backend, most=4, now=now())
    backend.say(put.tasks[0], ClassLabel(BRIGHT))
    sync(project, backend, most=4, now=now())
    assert put.tasks[0] in backend.tasks, "an answered one stays"
    project.erasing.erase([put.samples[0]])
    assert sync(project, backend, most=4, now=now()).withdrawn == 1
    assert put.tasks[0] not in backend.tasks


def test_boxes_come_back_in_pixels_of_the_original(tmp_path: Path) -> None:
    project = things_project(tmp_path / "boxes", boxes=True)
    put = fill(project, tasks=1)
    backend = MemoryBackend()
    sync(project, backend, most=1, now=now())
    backend.say(put.tasks[0], BoxesLabel((Box(DARK, 0.25, 0.5, 0.75, 1.0),)))
    assert sync(project, backend, most=1, now=now()).answers == 1
    (answer,) = project.queue.answered_unrecorded()
    assert decode(answer.label) == BoxesLabel((Box(DARK, 6, 12, 18, 24),))
