"""The gate at work in a project: a job filters, the book is written, labellers get renditions."""

import csv
import io
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image
from tests.support.clock import at
from tests.support.projects import everloop, opened, told, until, write_project

import everloop as everloop_package
from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.ids import LabelTaskId, SampleId
from everloop.loop.clearing import Judgement, clear
from everloop.loop.project import Project, Turn
from everloop.state.label_queue import LabelTask

_MODERATED = """
from everloop.product import Product
from everloop.tasks.image_classification import ImageClassification

product = Product(
    "bars", task=ImageClassification(classes=["lying", "upright"], size=(16, 16), channels=1)
)


@product.moderate
def moderate(shown):
    if shown.pixels.mean() > 250:
        return "it is blank"
"""


def _picture(grey: int) -> bytes:
    """A JPEG with a place, a script and a thumbnail in its metadata, lying on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "<script>alert(1)</script>"
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0)}
    out = io.BytesIO()
    Image.new("L", (24, 16), grey).save(out, "JPEG", exif=exif, comment=b"taken at home")
    return out.getvalue()


def _turn(project: Project) -> Turn:
    fence = project.leases.acquire("controller", "a test", at(0), timedelta(days=1))
    assert fence is not None
    return Turn(fence, at(0))


def _add(project: Project, *pictures: bytes) -> tuple[SampleId, ...]:
    return project.data.samples.add(
        [NewSample(data, f"{n}.jpg", "test", "test") for n, data in enumerate(pictures)],
        at(0),
        split=SplitRule(holdout_share=0.2),
    )


def _judge(project: Project, turn: Turn, samples: tuple[SampleId, ...]) -> Judgement:
    judged: Judgement = until(lambda: clear(project, turn, samples), why="the filters")
    return judged


def _ask(project: Project, turn: Turn, judged: Judgement) -> None:
    project.queue.add(
        [
            LabelTask(LabelTaskId(proof.sample[:8]), proof, "r", "train", None, None, None, at(0))
            for proof in judged.cleared.values()
        ],
        turn.fence,
    )


@pytest.fixture(scope="module")
def moderated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moderated") / "bars"
    return write_project(folder, product=_MODERATED, pictures=0)


def test_labellers_get_renditions_and_held_pictures_wait_for_a_person(
    moderated: Path, tmp_path: Path
) -> None:
    project = opened(moderated)
    turn = _turn(project)
    originals = (_picture(100), _picture(255), b"no picture at all")
    dark, blank, broken = samples = _add(project, *originals)
    judged = _judge(project, turn, samples)
    assert set(judged.cleared) == {dark}
    assert judged.held[blank] == "it is blank"
    assert "not one of the formats" in judged.held[broken]
    _ask(project, turn, judged)
    assert _judge(project, turn, samples) == judged, "asked again, nothing is filtered again"
    task = told(moderated, "label", "next", "--image", tmp_path / "next.png")
    assert task["sample"] == dark and task["privacy"] == project.rules.version
    written = (tmp_path / "next.png").read_bytes()
    with Image.open(io.BytesIO(written)) as image:
        assert image.size == (16, 24), "turned upright"
        assert not image.getexif()
    for secret in (b"script", b"taken at home", b"Exif", b"GPS"):
        assert secret not in written
    (held,) = [row for row in told(moderated, "privacy", "list") if row["sample"] == blank]
    assert held["reason"] == "it is blank"
    said = everloop(moderated, "privacy", "release", blank[:12], "--reason", " ")
    assert said.code == 3 and "needs a reason" in said.err
    told(moderated, "privacy", "release", blank[:12], "--reason", "snow", "--by", "ann")
    assert set(_judge(project, turn, samples).cleared) == {dark, blank}
    assert everloop(moderated, "privacy", "release", broken[:12], "--reason", "x").code == 3
    status = told(moderated, "privacy", "status")
    assert (status["held"], status["released"], status["cleared"]) == (1, 1, 1)
    assert status["not_filtered"] == ["faces are not filtered", "text is not filtered"]


def test_another_policy_clears_open_tasks_anew(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "bars", pictures=0)
    project = opened(folder)
    turn = _turn(project)
    _ask(project, turn, _judge(project, turn, _add(project, _picture(100))))
    with (folder / "everloop.toml").open("a") as file:
        file.write("[privacy]\nregions = [[0.0, 0.0, 1.0, 0.5]]\n")
    changed = opened(folder)
    assert changed.rules.version != project.rules.version
    assert changed.queue.next("ann", at(1), timedelta(1)) is None
    project.leases.release(turn.fence)
    arms = {row["arm"]: row for row in told(folder, "why")}
    assert arms["privacy"]["decision"] == "clear"
    assert told(folder, "privacy", "clear") == {"open": 1, "held": 0}
    task = changed.queue.next("ann", at(1), timedelta(1))
    assert task is not None
    with Image.open(io.BytesIO(changed.data.renditions.read(task.cleared.rendition))) as image:
        assert image.getpixel((3, 3)) == 0 and image.getpixel((3, 20)) != 0


def test_a_demanded_filter_that_is_not_installed_closes_the_gate(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "bars", pictures=0)
    project = opened(folder)
    turn = _turn(project)
    _ask(project, turn, _judge(project, turn, _add(project, _picture(100))))
    with (folder / "everloop.toml").open("a") as file:
        file.write('[privacy]\nfilters = ["metadata", "tattoos"]\n')
    closed = opened(folder)
    assert closed.rules.version is None
    assert closed.queue.next("ann", at(1), timedelta(1)) is None
    arms = {row["arm"]: row["reason"] for row in told(folder, "why")}
    assert "the gate is closed" in arms["privacy"] and "tattoos" in arms["privacy"]
    said = everloop(folder, "label", "next")
    assert said.code == 0 and "privacy gate is closed" in said.out
    assert everloop(folder, "privacy", "clear").code == 3
    status = told(folder, "privacy", "status")
    assert status["open"] is False and "tattoos" in status["closed"]


def test_originals_are_for_the_owner_only(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "bars", pictures=0)
    layout = opened(folder).layout
    for place in (layout.data, layout.capture, layout.jobs):
        assert place.stat().st_mode & 0o077 == 0
    source = Path(everloop_package.__file__).parent
    doors = [
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if ".samples.read(" in path.read_text() or "return samples.read(" in path.read_text()
    ]
    assert doors == ["data/owner.py"], "originals are read through owner_only"


def test_label_tasks_leave_as_renditions_and_no_cell_is_a_formula(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "bars", pictures=0)
    project = opened(folder)
    turn = _turn(project)
    judged = _judge(project, turn, _add(project, _picture(100), _picture(50)))
    project.queue.add(
        [
            LabelTask(LabelTaskId(p.sample), p, "r", "train", "=cmd|'/c calc'", None, None, at(0))
            for p in judged.cleared.values()
        ],
        turn.fence,
    )
    target = tmp_path / "out"
    assert told(folder, "label", "export", target)["tasks"] == 2
    rows = list(csv.DictReader((target / "tasks.csv").open(newline="")))
    assert {row["task"] for row in rows} == set(judged.cleared)
    assert all(row["suggestion"].startswith("'=") for row in rows)
    for row in rows:
        written = (target / row["picture"]).read_bytes()
        assert b"Exif" not in written and b"taken at home" not in written
    assert everloop(folder, "label", "export", target).code == 3, "the folder is in use"


def test_a_picture_is_checked_and_the_filters_are_measured(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "bars", pictures=0)
    with (folder / "everloop.toml").open("a") as file:
        file.write("[privacy]\nregions = [[0.0, 0.0, 1.0, 0.5]]\n")
    (tmp_path / "a.jpg").write_bytes(_picture(200))
    checked = told(folder, "privacy", "check", tmp_path / "a.jpg", "--image", tmp_path / "r.png")
    assert [r["kind"] for r in checked["regions"]] == ["fixed"] and checked["held"] is None
    with Image.open(tmp_path / "r.png") as image:
        assert (image.size, image.getpixel((3, 3))) == ((16, 24), 0)
    assert everloop(folder, "privacy", "check", tmp_path / "none.jpg").code == 3
    marks = "file,kind,left,top,width,height\na.jpg,face,1,1,5,5\na.jpg,plate,1,15,5,5\n"
    (tmp_path / "regions.csv").write_text(marks)
    figures = told(folder, "privacy", "measure", tmp_path)
    assert figures["recall"] == 0.5 and figures["kinds"]["face"]["recall"] == 1.0
