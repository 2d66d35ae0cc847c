"""Labels as they come from outside: each bad row named, nothing lost, nothing run."""

import json
import math
from pathlib import Path

import pytest
from tests.support import layouts
from tests.support.layouts import ANIMALS, CELLS, SIDE, picture, put, take_in, told

from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.labels import decode


@pytest.fixture
def store(tmp_path: Path) -> DataStore:
    return DataStore(tmp_path / "store")


def _row(number: int, bbox: object, image: object = 1, category: object = 7) -> dict[str, object]:
    return {"id": number, "image_id": image, "category_id": category, "bbox": bbox}


_BAD_BOXES = {
    "[NaN, 1, 2, 3]": "figures that are not finite",
    "[1e999, 1, 2, 3]": "figures that are not finite",
    "[1, 1, -2, 3]": "negative width or height",
    "[1, 1, 0, 3]": "no area",
    "[1, 1, 3]": "four figures",
    '["1", 1, 3, 4]': "four figures",
    f"[1, 1, {'9' * 5000}, 4]": "figures that are not finite",
    "null": "four figures",
    "[-3, 1, 5, 5]": "1 boxes outside its 16 x 16: red -3, 1, 2, 6",
    "[10, 1, 50, 5]": "1 boxes outside its 16 x 16",
}


def test_each_bad_box_of_coco_is_named_and_its_picture_kept_apart(
    store: DataStore, tmp_path: Path
) -> None:
    numbers = range(len(_BAD_BOXES))
    for number in numbers:
        put(tmp_path / "in" / "images" / f"{number + 10}.png", picture(number + 10))
    images = [{"id": n, "file_name": f"{n + 10}.png"} for n in numbers]
    layouts.coco(tmp_path / "in", [_row(40 + n, f"BOX{n}.", image=n) for n in numbers],
                 images=images)  # fmt: skip
    path = tmp_path / "in" / "annotations" / "instances.json"
    text = path.read_text()
    for number, bbox in enumerate(_BAD_BOXES):
        text = text.replace(f'"BOX{number}."', bbox)
    path.write_text(text)
    report = take_in(store, tmp_path / "in", CELLS)
    assert report.quarantined == {"bad-label": len(_BAD_BOXES)}
    assert (report.added, report.labelled) == (2, 0), "pictures that nothing is said of"
    words = told(store)
    for number, reason in enumerate(_BAD_BOXES.values()):
        text = words[f"images/{number + 10}.png"]
        assert reason in text
        if "outside" not in reason:
            assert f"instances.json: annotation {number + 40} is a box" in text
    for bad in store.quarantine.standing():
        assert store.quarantine.bytes_of(bad) in [picture(n + 10) for n in numbers]


def test_a_box_over_the_edge_is_cut_where_the_policy_says_so(
    store: DataStore, tmp_path: Path
) -> None:
    layouts.coco(tmp_path / "in", [_row(1, [-3, 1, 5, 50]), _row(2, [20, 20, 5, 5], image=2)])
    report = take_in(store, tmp_path / "in", CELLS, out_of_image="clip")
    assert report.quarantined == {"bad-label": 1}, "nothing is left of the second"
    (standing,) = store.annotations.current().values()
    assert decode(standing.label) == layouts.boxes(("red", 0, 1, 2, SIDE))


def test_doubled_ids_and_dangling_references_are_named(store: DataStore, tmp_path: Path) -> None:
    images = [
        {"id": 1, "file_name": "1.png"},
        {"id": 1, "file_name": "2.png"},
        {"id": 3, "file_name": "3.png"},
        {"id": 4, "file_name": "../../../etc/passwd"},
    ]
    put(tmp_path / "in" / "images" / "3.png", picture(3))
    layouts.coco(
        tmp_path / "in",
        [_row(5, [1, 1, 2, 2], image=3), _row(5, [1, 1, 2, 2], image=3),
         _row(6, [1, 1, 2, 2], image=99), _row(7, [1, 1, 2, 2], image=3, category=88)],
        images=images,
    )  # fmt: skip
    report = take_in(store, tmp_path / "in", CELLS)
    assert report.labelled == 0
    words = told(store)
    assert "image id 1 is listed more than once" in words["images/1.png"]
    assert "image id 1 is listed more than once" in words["images/2.png"]
    assert "annotation id 5 is listed more than once" in words["images/3.png"]
    assert "annotation 7 names category 88, which is not listed" in words["images/3.png"]
    assert "names image 99, which is not listed" in words["annotations/instances.json#annotation 6"]
    assert "'../../../etc/passwd' is not in the source" in words["../../../etc/passwd"]


def test_a_class_outside_the_task_is_named(store: DataStore, tmp_path: Path) -> None:
    layouts.coco(tmp_path / "in", categories=[{"id": 7, "name": "green"}, {"id": 9, "name": "red"}])
    take_in(store, tmp_path / "in", CELLS)
    assert "'green' is no class of the task; the classes are red, white" in str(told(store))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"images": [' + "[" * 200_000, "cannot be read"),
        ('{"images": [{"id": 1,', "not JSON"),
        ('{"images": [] "annotations"}', "not JSON"),
        ('{"images": [], "annotations": []} x', "more text after the end"),
    ],
)
def test_a_json_that_is_none_is_refused_whole(
    text: str, reason: str, store: DataStore, tmp_path: Path
) -> None:
    put(tmp_path / "in" / "a.json", text)
    with pytest.raises(Refused, match=reason):
        take_in(store, tmp_path / "in", CELLS)


_BOMB = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>"""


def test_entities_of_voc_are_never_expanded(store: DataStore, tmp_path: Path) -> None:
    layouts.voc(tmp_path / "in", layouts.voc_object("&b;&c;", 1, 2, 3, 4), prolog=_BOMB)
    report = take_in(store, tmp_path / "in", CELLS)
    assert (report.added, report.labelled) == (1, 1)
    assert "declares entities or a document type" in told(store)["JPEGImages/1.png"]


def test_bad_objects_of_voc_are_named(store: DataStore, tmp_path: Path) -> None:
    objects = [
        layouts.voc_object("red", 5, 5, 5, 5),
        layouts.voc_object("red", "nan", 1, 2, 3),
        layouts.voc_object("red", "one", 1, 2, 3),
        layouts.voc_object("", 1, 2, 3, 4),
    ]
    layouts.voc(tmp_path / "in", "".join(objects))
    put(tmp_path / "in" / "Annotations" / "3.xml", "<annotation><filename>no.png</filename>")
    put(
        tmp_path / "in" / "Annotations" / "4.xml",
        "<annotation><filename>no.png</filename></annotation>",
    )
    take_in(store, tmp_path / "in", CELLS)
    words = told(store)
    for reason in ("object 1 (red) is a box of no area", "object 2 (red) is a box of figures that",
                   "object 3 (red) is a box is four figures", "object 4 has no name"):  # fmt: skip
        assert reason in words["JPEGImages/1.png"]
    assert "it is not XML" in words["Annotations/3.xml"]
    assert "'no.png' is not in the source" in words["Annotations/4.xml"]


_BAD_LINES = {
    "0 0.5 0.5 0.5": ".txt:2: 4 figures where",
    "0 0.5 0.5 0.5 0.5 0.5 0.5": "7 figures where",
    "7 0.5 0.5 0.5 0.5": "class 7 where 0 to 1 are named",
    "-1 0.5 0.5 0.5 0.5": "class -1 where",
    "0 a b c d": "figures are wanted; got a b c d",
    "0 nan 0.5 0.5 0.5": "not finite",
    "0 0.5 0.5 0 0.5": "no area",
    "0 0.5 0.5 0.5 1.5": "outside its 16 x 16",
}


def test_each_malformed_line_of_yolo_is_named(store: DataStore, tmp_path: Path) -> None:
    layouts.yolo(tmp_path / "in")
    for number, line in enumerate(_BAD_LINES):
        put(tmp_path / "in" / "images" / "train" / f"b{number}.png", picture(number + 10))
        text = f"1 0.5 0.5 0.25 0.5\n{line}\n"
        put(tmp_path / "in" / "labels" / "train" / f"b{number}.txt", text)
    put(tmp_path / "in" / "labels" / "train" / "lost.txt", "0 1 1 1 1")
    report = take_in(store, tmp_path / "in", CELLS)
    assert report.added == 3
    words = told(store)
    for number, reason in enumerate(_BAD_LINES.values()):
        assert reason in words[f"images/train/b{number}.png"]
    assert "there is no picture of that name" in words["labels/train/lost.txt"]


def test_shares_of_few_digits_may_overshoot_by_half_a_pixel(
    store: DataStore, tmp_path: Path
) -> None:
    layouts.yolo(tmp_path / "in", "0 0.5 0.5 1.0001 1.0001\n")
    take_in(store, tmp_path / "in", CELLS)
    labels = {decode(a.label) for a in store.annotations.current().values()}
    assert layouts.boxes(("red", 0, 0, SIDE, SIDE)) in labels


def test_yaml_runs_nothing_and_names_must_be_names(store: DataStore, tmp_path: Path) -> None:
    layouts.yolo(tmp_path / "in")
    data = tmp_path / "in" / "data.yaml"
    for text in ("train: a\nnames: !!python/object/apply:os.system ['true']\n",
                 "train: a\nnames: 7\n", "train: a\nnames: [[x]]\n", "train: a\nnames: {-1: x}\n",
                 "train: a\nnames: " + "[" * 5000):  # fmt: skip
        data.write_text(text)
        with pytest.raises(Refused, match=r"data\.yaml"):
            take_in(store, tmp_path / "in", CELLS)


def test_bad_rows_of_tables_are_named(store: DataStore, tmp_path: Path) -> None:
    layouts.box_manifest(
        tmp_path / "in",
        ("2.png", "red", 1, 1, 1, 1),
        ("3.png", "red", 1, 1, 2, 2),
        ("1.png", "red", 1),
    )
    take_in(store, tmp_path / "in", CELLS)
    words = told(store)
    assert "boxes.csv: row 4 is a box of no area" in words["2.png"]
    assert "row 5 names '3.png', which is not in the source" in words["boxes.csv#row 5"]
    assert "row 6 has 3 cells; the header names 6 columns" in words["boxes.csv#row 6"]


def test_bad_splits_times_and_doubled_rows_of_tables_are_named(
    store: DataStore, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        put(tmp_path / "in" / f"{number}.png", picture(number))
    rows = "1.png,cat,mars,\n2.png,cat,train,yesterday\n3.png,cat,,\n3.png,dog,,\n"
    put(tmp_path / "in" / "l.csv", f"path,label,split,taken_at\n{rows}")
    report = take_in(store, tmp_path / "in", ANIMALS)
    assert (report.added, report.quarantined) == (1, {"bad-label": 3})
    assert "another row names too" in told(store)["3.png"]
    for text in ("path,path\n", "path\n\xff\n".encode("latin-1"), b"path," + b"x" * 5_000_000):
        put(tmp_path / "in" / "l.csv", text)
        with pytest.raises(Refused):
            take_in(store, tmp_path / "in", ANIMALS, format_name="manifest")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rotation": 30}, "a turned rectangle (30 degrees)"),
        ({"x": math.nan}, "not finite"),
        ({"width": None}, "four figures"),
    ],
)
def test_a_bad_rectangle_of_label_studio_is_named(
    change: dict[str, object], reason: str, store: DataStore, tmp_path: Path
) -> None:
    layouts.label_studio(tmp_path / "in", **change)
    take_in(store, tmp_path / "in", CELLS)
    assert f"task 1: result 1 is {reason}"[:14] in told(store)["1.png"]
    assert reason in told(store)["1.png"]


def test_boxes_for_another_size_are_refused(store: DataStore, tmp_path: Path) -> None:
    images = [{"id": n, "file_name": f"{n}.png", "width": 99, "height": 16} for n in (1, 2)]
    layouts.coco(tmp_path / "in", images=images)
    take_in(store, tmp_path / "in", CELLS)
    assert (
        "its boxes are for 99 x 16; the upright picture is 16 x 16" in told(store)["images/1.png"]
    )


def test_what_json_cannot_name_is_named_by_its_row(store: DataStore, tmp_path: Path) -> None:
    layouts.coco(tmp_path / "in", images=[7, {"id": 1}, {"id": 2, "file_name": 5}])
    take_in(store, tmp_path / "in", CELLS)
    assert "is not a JSON object" in json.dumps(told(store))
    assert "has no id or no file_name" in json.dumps(told(store))
