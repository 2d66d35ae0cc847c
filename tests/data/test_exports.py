"""Snapshots written out: read back they are the same; whole or not there; nothing computed."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import layouts
from tests.support.clock import at
from tests.support.layouts import ANIMALS, CELLS, picture, put, take_in

from everloop.data.export.exporter import EXPORTS, export
from everloop.data.export.outgoing import Shape
from everloop.data.export.yolo import yolo_line
from everloop.data.fit import fit
from everloop.data.formats.cells import quoted, unquoted
from everloop.data.formats.yolo import read_line
from everloop.data.incoming import Incoming
from everloop.data.snapshots import Snapshot
from everloop.data.store import DataStore
from everloop.data.take import LabelRule, take
from everloop.errors import Refused
from everloop.labels import Box, BoxesLabel
from everloop.tasks.image_classification import ImageClassification
from everloop.tasks.multi_label import MultiLabelClassification
from everloop.tasks.tabular import TabularRegression
from everloop.tasks.task import Task

MANY = MultiLabelClassification(["red", "white"])
BIKES = TabularRegression("cnt", ["hr"])


def _snapshot(store: DataStore, task: Task) -> Snapshot:
    taken = take(store, classes=task.classes, now=at(0), labels=LabelRule("all", lambda _: True))
    return store.snapshots.open(taken.id)


def _content(snapshot: Snapshot) -> list[tuple[str, str, str]]:
    columns = (snapshot.rows.column(name).to_pylist() for name in ("sample", "side", "label"))
    return list(zip(*columns, strict=True))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[DataStore, Task]]:
    """A small store of each kind of label."""
    root = tmp_path_factory.mktemp("stores")
    found: dict[str, tuple[DataStore, Task]] = {}
    kinds: list[tuple[str, Task, str]] = [
        ("class", ANIMALS, "manifest"),
        ("boxes", CELLS, "coco"),
        ("classes", MANY, "coco"),
    ]
    for name, task, layout in kinds:
        getattr(layouts, layout)(root / name)
        found[name] = DataStore(root / f"{name}-store"), task
    put(root / "value" / "a.csv", "hr,note,cnt\n0,=1+1,16\n1,007,-4.5\n2,,7\n")
    found["value"] = DataStore(root / "value-store"), BIKES
    for name, (store, task) in found.items():
        assert take_in(store, root / name, task).labelled
    return found


_FITTING = [
    ("class", "coco"), ("class", "class-folders"), ("class", "parquet"), ("class", "csv"),
    ("boxes", "coco"), ("boxes", "yolo"), ("boxes", "voc"), ("boxes", "parquet"),
    ("boxes", "csv"), ("classes", "coco"), ("classes", "csv"), ("classes", "parquet"),
    ("value", "csv"), ("value", "parquet"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), _FITTING)
def test_an_export_read_back_is_the_same(
    kind: str, name: str, stores: dict[str, tuple[DataStore, Task]], tmp_path: Path
) -> None:
    store, task = stores[kind]
    before = _snapshot(store, task)
    report = export(store, before, task, name, tmp_path / "out")
    assert report.samples == before.rows.num_rows == report.train + report.holdout
    again = DataStore(tmp_path / "again")
    taken = take_in(again, tmp_path / "out", task)
    assert taken.quarantined == {}
    assert _content(_snapshot(again, task)) == _content(before)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_groups_times_and_metadata_come_back_from_tables(
    stores: dict[str, tuple[DataStore, Task]], tmp_path: Path
) -> None:
    store, task = stores["class"]
    for name in ("parquet", "csv"):
        export(store, _snapshot(store, task), task, name, tmp_path / name)
        again = DataStore(tmp_path / f"{name}-store")
        take_in(again, tmp_path / name, task)
        names = ["id", "group", "taken_at", "given_side"]
        labelled = {s for s, _, _ in _content(_snapshot(store, task))}
        facts = [
            {row["id"]: [row[n] for n in names] for row in one.samples.facts().to_pylist()}
            for one in (store, again)
        ]
        assert {s: row for s, row in facts[0].items() if s in labelled} == facts[1]


def test_what_cannot_be_written_is_refused_and_leaves_nothing(
    stores: dict[str, tuple[DataStore, Task]], tmp_path: Path
) -> None:
    store, task = stores["class"]
    snapshot = _snapshot(store, task)
    with pytest.raises(Refused, match=r"yolo holds boxes; these fit the task: coco, class-fold"):
        export(store, snapshot, task, "yolo", tmp_path / "out")
    with pytest.raises(Refused, match="no export 'excel'"):
        export(store, snapshot, task, "excel", tmp_path / "out")
    put(tmp_path / "used" / "mine.txt", "mine")
    with pytest.raises(Refused, match="is there already"):
        export(store, snapshot, task, "coco", tmp_path / "used")

    def cut_short(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(store, snapshot, task, "coco", tmp_path / "out", watch=cut_short)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["used"]


def test_no_class_becomes_a_path(stores: dict[str, tuple[DataStore, Task]], tmp_path: Path) -> None:
    store, task = stores["class"]
    for name in ("../up", "a/b", "a\\b", ".", "x\n", "train", "\u202ecat", "z" * 300):
        bad = ImageClassification([name, "dog"])
        with pytest.raises(Refused, match="cannot be a folder's name"):
            export(store, _snapshot(store, task), bad, "class-folders", tmp_path / "out")
    with pytest.raises(Refused, match="XML cannot hold"):
        EXPORTS["voc"].writer(tmp_path, Shape(("a\x00",), "boxes", "image"))


def test_no_cell_of_a_csv_is_computed(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0", "+1", "@SUM(A1)", "-2+3", "'=x", "plain"]
    task = ImageClassification(names)
    store = DataStore(tmp_path / "store")
    for number, name in enumerate(names):
        put(tmp_path / "in" / f"{number}.png", picture(number))
        with (tmp_path / "in" / "l.csv").open("a", newline="") as file:
            rows = [["path", "label"]] if not number else []
            csv.writer(file).writerows([*rows, [f"{number}.png", quoted(name)]])
    take_in(store, tmp_path / "in", task)
    export(store, _snapshot(store, task), task, "csv", tmp_path / "out")
    with (tmp_path / "out" / "samples.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [c for c in cells if c.startswith(("=", "@", "-", "+")) and c != "+1"]
    again = DataStore(tmp_path / "again")
    take_in(again, tmp_path / "out", task)
    assert _content(_snapshot(again, task)) == _content(_snapshot(store, task))


@given(st.text(max_size=20))
def test_a_quoted_cell_comes_back(cell: str) -> None:
    assert unquoted(quoted(cell)) == cell


_EDGE = st.integers(0, 160).map(lambda tenths: tenths / 10)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CELLS.classes), _EDGE, _EDGE, _EDGE, _EDGE), max_size=4))
def test_boxes_come_back_to_a_millionth_of_a_pixel(
    rows: list[tuple[str, float, float, float, float]],
) -> None:
    """Through the figures alone: an import of pictures for each example would be slow."""
    good = [
        (name, min(a, c), min(b, d), max(a, c), max(b, d))
        for name, a, b, c, d in rows
        if a != c and b != d
    ]
    label = layouts.boxes(*good)
    made = [read_line(yolo_line(n, box, 16, 16).split(), CELLS.classes)
            for box in label.boxes for n in [CELLS.classes.index(box.label)]]  # fmt: skip
    boxes = tuple(box for box in made if isinstance(box, Box))
    incoming = Incoming("", lambda _: b"", label=BoxesLabel(boxes), unit="share")
    assert fit(incoming, (16, 16), "refuse") == label
