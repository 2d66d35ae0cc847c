"""Data taken in, watched and written out by command, for a product without a training function."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.support import layouts
from tests.support.layouts import picture, put
from tests.support.projects import EVERLOOP, everloop, told

_PRODUCT = """
from everloop.product import Product
from everloop.tasks.object_detection import ObjectDetection

product = Product("cells", task=ObjectDetection(classes=["red", "white"], size=(64, 64)))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cells")
    put(folder / "product.py", _PRODUCT)
    policy = (
        'level = 2\n[data]\nsources = ["data/boxes"]\n[tracking]\nui = false\n[web]\non = false\n'
    )
    put(folder / "everloop.toml", policy)
    layouts.yolo(folder / "data" / "boxes")
    return folder


def test_boxes_are_imported_watched_pinned_and_written_out(project: Path) -> None:
    source = project / "data" / "boxes"
    taken = told(project, "data", "import", source)
    assert (taken["format"], taken["added"], taken["labelled"]) == ("yolo", 3, 2)
    assert told(project, "data", "import", source) == taken, "the journalled outcome"
    put(source / "images" / "train" / "4.png", picture(4))
    put(source / "labels" / "train" / "4.txt", "0 0.5 0.5 1 1\n1 0.2 0.2 0.1 0.1\n")
    watched = told(project, "data", "watch", "--once", source)
    assert (watched["added"], watched["known"], watched["labelled"]) == (1, 3, 1)
    said = everloop(project, "train")
    assert said.code == 3
    assert "has no function marked @product.train" in said.err
    arms = {row["arm"]: row["reason"] for row in told(project, "why")}
    assert "2 training labels of the 50 a first model needs" in arms["learn"]
    assert "all 5 files of the sources are in" in arms["ingest"]


def test_a_watched_folder_is_taken_in_as_it_fills(project: Path, tmp_path: Path) -> None:
    layouts.plain_yolo(tmp_path / "in")
    command = [*EVERLOOP, "data", "watch", str(tmp_path / "in"), "--every", "0.1", "--json"]
    with subprocess.Popen(
        [*command, "--project", str(project)], stdout=subprocess.PIPE, text=True
    ) as watcher:
        assert watcher.stdout is not None
        assert _next(watcher.stdout)["known"] == 1, "the same picture came with the other source"
        put(tmp_path / "in" / "b.png", picture(50))
        assert _next(watcher.stdout)["added"] == 1
        watcher.terminate()


def _next(out: object) -> dict[str, object]:
    """The next JSON document of a stream."""
    text = ""
    for line in out:  # type: ignore[attr-defined]
        text += line
        if line.startswith("}"):
            break
    found: dict[str, object] = json.loads(text)
    return found


def test_the_page_on_data_is_followed_as_written(project: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    lines = page.partition("```sh\n")[2].partition("```")[0].splitlines()
    assert len(lines) == 5
    snapshot = ""
    for line in lines:
        words = line.replace("SNAPSHOT", snapshot).split()
        assert words.pop(0) == "everloop"
        done = subprocess.run(
            [*EVERLOOP, *words, "--json"], cwd=project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        if words[:2] == ["snapshots", "take"]:
            snapshot = json.loads(done.stdout)["snapshot"]
    exported = json.loads((project / "boxes-as-coco/annotations/instances_train.json").read_text())
    assert {"images", "annotations", "categories"} <= exported.keys()


def test_wrong_words_are_told(project: Path, tmp_path: Path) -> None:
    layouts.coco(tmp_path / "in")
    assert everloop(project, "data", "import", tmp_path / "in", "--column", "label").code == 2
    said = everloop(project, "data", "import", tmp_path / "in", "--format", "excel")
    assert said.code == 3 and "installed: class-folders, coco" in said.err
    said = everloop(project, "data", "import", tmp_path / "in", "--format", "voc")
    assert said.code == 3 and "no annotation in XML" in said.err
    assert everloop(project, "data", "watch", tmp_path / "none", "--once").code == 3
