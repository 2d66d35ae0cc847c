"""A team measures the filters on its own marked pictures."""

import json
from pathlib import Path

import pytest
from PIL import Image

from everloop.errors import Refused
from everloop.policy import PrivacyPolicy
from everloop.privacy.measure import Marked, measure, read_marks
from everloop_runtime.images import ImageLimits

_HALF = PrivacyPolicy.model_validate({"regions": [[0.0, 0.0, 0.5, 1.0]], "max_side": 50})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 60), "white").save(tmp_path / name)
    return tmp_path


def test_recall_and_precision_are_of_what_is_covered(folder: Path) -> None:
    (folder / "regions.csv").write_text(
        "file,kind,left,top,width,height\n"
        "a.png,face,10,10,20,20\n"
        "a.png,plate,40,10,20,20\n"  # half of it is covered: not enough
        "b.png,,,,,\n"
    )
    figures = measure(folder, _HALF, ImageLimits())
    assert figures.pictures == 2
    assert {name: (k.found, k.marked) for name, k in figures.kinds.items()} == {
        "face": (1, 1),
        "plate": (0, 1),
    }
    assert figures.recall == 0.5
    assert (figures.right, figures.regions, figures.precision) == (1, 2, 0.5)


def test_coco_is_read_too(folder: Path) -> None:
    told = {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "categories": [{"id": 7, "name": "face"}],
        "annotations": [{"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]}],
    }
    (folder / "regions.json").write_text(json.dumps(told))
    assert read_marks(folder) == {"a.png": [Marked("face", 1, 2, 3, 4)], "b.png": []}


@pytest.mark.parametrize(
    "table",
    [
        "file,kind,left,top,width,height\na.png,face,x,1,1,1\n",
        "name,kind\na.png,face\n",
        "file,kind,left,top,width,height\n../a.png,face,1,1,1,1\n",
        "file,kind,left,top,width,height\nnone.png,face,1,1,1,1\n",
    ],
)
def test_marks_that_cannot_be_used_are_refused(folder: Path, table: str) -> None:
    (folder / "regions.csv").write_text(table)
    with pytest.raises(Refused):
        measure(folder, _HALF, ImageLimits())


def test_a_folder_without_marks_is_told_what_is_wanted(folder: Path) -> None:
    with pytest.raises(Refused, match=r"regions\.csv"):
        read_marks(folder)
