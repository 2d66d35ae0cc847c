"""Small sources in the layouts of other tools, written on the spot."""

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.clock import at
from tests.support.pictures import noise

from everloop.data.bad_files import Quarantined
from everloop.data.ingest import IngestReport, IngestRules, ingest
from everloop.data.location import Place
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.labels import Box, BoxesLabel, ClassLabel, Label
from everloop.tasks.image_classification import ImageClassification
from everloop.tasks.object_detection import ObjectDetection
from everloop.tasks.task import Task
from everloop_runtime.images import ImageLimits

ANIMALS = ImageClassification(["cat", "dog"])
CELLS = ObjectDetection(["red", "white"])
SIDE = 16
"""Width and height of every picture here."""


def put(path: Path, data: bytes | str) -> Path:
    """Write a file and the folders on the way to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def picture(seed: int) -> bytes:
    """A PNG of 16 x 16."""
    return noise(seed, SIDE)


def class_folders(folder: Path) -> dict[str, Label | None]:
    """Two cats, a dog, and one that nobody labelled."""
    for seed, name in enumerate(("cat/1.png", "cat/2.png", "dog/3.png", "4.png")):
        put(folder / name, picture(seed))
    cat, dog = ClassLabel("cat"), ClassLabel("dog")
    return {"cat/1.png": cat, "cat/2.png": cat, "dog/3.png": dog, "4.png": None}


def boxes(*rows: Sequence[Any]) -> BoxesLabel:
    """A label of rows `(name, left, top, right, bottom)`."""
    return BoxesLabel(tuple(Box(str(row[0]), *map(float, row[1:])) for row in rows))


def coco(
    folder: Path,
    annotations: Sequence[Mapping[str, Any]] | None = None,
    **changed: Any,
) -> dict[str, Label | None]:
    """Two pictures, three boxes; whole lists may be given instead."""
    for number in (1, 2):
        put(folder / "images" / f"{number}.png", picture(number))
    images = [{"id": n, "file_name": f"{n}.png", "width": SIDE, "height": SIDE} for n in (1, 2)]
    rows = [
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3.5, 4]},
        {"id": 2, "image_id": 1, "category_id": 9, "bbox": [0, 0, SIDE, SIDE]},
        {"id": 3, "image_id": 2, "category_id": 7, "bbox": [5, 5, 5, 5]},
    ]
    told = {
        "images": images,
        "annotations": rows if annotations is None else annotations,
        "categories": [{"id": 7, "name": "red"}, {"id": 9, "name": "white"}],
        **changed,
    }
    put(folder / "annotations" / "instances.json", json.dumps(told))
    return {
        "images/1.png": boxes(("red", 1, 2, 4.5, 6), ("white", 0, 0, SIDE, SIDE)),
        "images/2.png": boxes(("red", 5, 5, 10, 10)),
    }


def voc(folder: Path, objects: str | None = None, prolog: str = "") -> dict[str, Label | None]:
    """Two pictures; the objects of the first may be given as XML."""
    for number in (1, 2):
        put(folder / "JPEGImages" / f"{number}.png", picture(number))
    first = objects if objects is not None else voc_object("red", 1, 2, 4.5, 6)
    for number, inside in ((1, first), (2, "")):
        size = f"<size><width>{SIDE}</width><height>{SIDE}</height></size>"
        xml = f"<annotation><filename>{number}.png</filename>{size}{inside}</annotation>"
        put(folder / "Annotations" / f"{number}.xml", (prolog if number == 1 else "") + xml)
    put(folder / "ImageSets" / "Main" / "train.txt", "1\n")
    put(folder / "ImageSets" / "Main" / "val.txt", "2\n")
    return {"JPEGImages/1.png": boxes(("red", 1, 2, 4.5, 6)), "JPEGImages/2.png": boxes()}


def voc_object(name: str, *edges: object) -> str:
    """One object in XML."""
    told = "".join(
        f"<{tag}>{edge}</{tag}>"
        for tag, edge in zip(("xmin", "ymin", "xmax", "ymax"), edges, strict=True)
    )
    return f"<object><name>{name}</name><bndbox>{told}</bndbox></object>"


def yolo(folder: Path, lines: str = "1 0.5 0.5 0.25 0.5\n") -> dict[str, Label | None]:
    """One labelled picture, one that shows nothing, one without a text."""
    put(
        folder / "data.yaml", "train: images/train\nval: images/val\nnames:\n  0: red\n  1: white\n"
    )
    put(folder / "images" / "train" / "1.png", picture(1))
    put(folder / "labels" / "train" / "1.txt", lines)
    put(folder / "images" / "val" / "2.png", picture(2))
    put(folder / "labels" / "val" / "2.txt", "")
    put(folder / "images" / "train" / "3.png", picture(3))
    return {
        "images/train/1.png": boxes(("white", 6, 4, 10, 12)),
        "images/val/2.png": boxes(),
        "images/train/3.png": None,
    }


def plain_yolo(folder: Path) -> dict[str, Label | None]:
    """Pictures and texts side by side, with the names in `classes.txt`."""
    put(folder / "classes.txt", "red\nwhite\n")
    put(folder / "a.png", picture(1))
    put(folder / "a.txt", "0 0.5 0.5 1 1\n")
    return {"a.png": boxes(("red", 0, 0, SIDE, SIDE))}


def manifest(folder: Path) -> dict[str, Label | None]:
    """A CSV of classes, splits, groups and times."""
    rows = [
        ("path", "label", "split", "group", "taken_at", "camera"),
        ("p/1.png", "cat", "train", "g1", "2026-01-02T03:04:05Z", "left"),
        ("p/2.png", "dog", "test", "g2", "2026-01-03", "right"),
        ("p/3.png", "", "", "", "", ""),
    ]
    for number in (1, 2, 3):
        put(folder / "p" / f"{number}.png", picture(number))
    put(folder / "labels.csv", as_csv(rows))
    return {"p/1.png": ClassLabel("cat"), "p/2.png": ClassLabel("dog"), "p/3.png": None}


def box_manifest(folder: Path, *more: Sequence[object]) -> dict[str, Label | None]:
    """A row a box; the rows of a picture need not stand together."""
    rows = [
        ("filename", "class", "xmin", "ymin", "xmax", "ymax"),
        ("1.png", "red", 1, 2, 3, 4),
        ("2.png", "", "", "", "", ""),
        ("1.png", "white", 5, 6, 7.5, 8),
        *more,
    ]
    for number in (1, 2):
        put(folder / f"{number}.png", picture(number))
    put(folder / "boxes.csv", as_csv(rows))
    return {"1.png": boxes(("red", 1, 2, 3, 4), ("white", 5, 6, 7.5, 8)), "2.png": boxes()}


def as_csv(rows: Sequence[Sequence[object]]) -> str:
    """Rows as the text of a CSV."""
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def label_studio(folder: Path, **value: Any) -> dict[str, Label | None]:
    """A rectangle on an uploaded picture, and one task that nobody answered."""
    put(folder / "1.png", picture(1))
    put(folder / "2.png", picture(2))
    rectangle = {"x": 25, "y": 50, "width": 50, "height": 25, "rotation": 0, **value}
    result = {
        "type": "rectanglelabels",
        "original_width": SIDE,
        "original_height": SIDE,
        "value": {**rectangle, "rectanglelabels": ["red"]},
    }
    tasks = [
        {"id": 1, "data": {"image": "/data/upload/3/0a1b2c3d-1.png"},
         "annotations": [{"result": [result], "was_cancelled": False}]},
        {"id": 2, "data": {"image": "/data/local-files/?d=some/2.png"}, "annotations": []},
    ]  # fmt: skip
    put(folder / "export.json", json.dumps(tasks))
    return {"1.png": boxes(("red", 4, 8, 12, 12)), "2.png": None}


def zipped(folder: Path, path: Path) -> Path:
    """A folder as a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def tarred(folder: Path, path: Path, mode: str = "w:gz") -> Path:
    """A folder as a tar."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        archive.add(folder, ".")
    return path


def take_in(store: DataStore, location: Place, task: Task = ANIMALS, **more: Any) -> IngestReport:
    """Everything of a source into a store."""
    rules = IngestRules(
        task, ImageLimits(), SplitRule(0.3), more.pop("out_of_image", "refuse"),
        more.pop("columns", {}),
    )  # fmt: skip
    return ingest(store, location, source="in", rules=rules, now=at(0), **more)


def told(store: DataStore) -> dict[str, str]:
    """What is set aside: the reason in words by name."""
    standing: Sequence[Quarantined] = store.quarantine.standing()
    return {each.name: each.text for each in standing}
