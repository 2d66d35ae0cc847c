"""Each layout read as it was written; detection; and what a reader may never do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import layouts
from tests.support.layouts import ANIMALS, CELLS, picture, put, take_in, told

from everloop.data.formats.class_folders import ClassFolders
from everloop.data.formats.coco import Coco
from everloop.data.formats.detect import by_name, detect, installed
from everloop.data.formats.format import Format, wanted_by
from everloop.data.formats.label_studio import LabelStudio
from everloop.data.formats.manifest import Manifest
from everloop.data.formats.plain import Plain
from everloop.data.formats.sketch import Sketch
from everloop.data.formats.tabular import Tabular
from everloop.data.formats.voc import Voc
from everloop.data.formats.yolo import Yolo
from everloop.data.ingest import Progress
from everloop.data.sources.folder import FolderTree
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.labels import ClassesLabel, Label, ValueLabel
from everloop.tasks.image_classification import ImageClassification
from everloop.tasks.multi_label import MultiLabelClassification
from everloop.tasks.tabular import TabularClassification, TabularRegression
from everloop.tasks.task import Task
from everloop.testing.formats import FormatContract

ROOT = Path(__file__).parents[2]
BIKES = TabularRegression("cnt", ["hr", "temp"], "day")


class TestClassFolders(FormatContract):
    def format(self) -> Format:
        return ClassFolders()

    def task(self) -> Task:
        return ANIMALS

    def write(self, folder: Path) -> dict[str, Label | None]:
        return layouts.class_folders(folder)


class TestPlain(TestClassFolders):
    def format(self) -> Format:
        return Plain()

    def write(self, folder: Path) -> dict[str, Label | None]:
        return dict.fromkeys(layouts.class_folders(folder))


class TestCoco(FormatContract):
    def format(self) -> Format:
        return Coco()

    def task(self) -> Task:
        return CELLS

    def write(self, folder: Path) -> dict[str, Label | None]:
        return layouts.coco(folder)


class TestVoc(TestCoco):
    def format(self) -> Format:
        return Voc()

    def write(self, folder: Path) -> dict[str, Label | None]:
        return layouts.voc(folder)


class TestYolo(TestCoco):
    def format(self) -> Format:
        return Yolo()

    def write(self, folder: Path) -> dict[str, Label | None]:
        return layouts.yolo(folder)


class TestBoxManifest(TestCoco):
    def format(self) -> Format:
        return Manifest()

    def write(self, folder: Path) -> dict[str, Label | None]:
        return layouts.box_manifest(folder)


class TestLabelStudio(TestCoco):
    def format(self) -> Format:
        return LabelStudio()

    def write(self, folder: Path) -> dict[str, Label | None]:
        return layouts.label_studio(folder)


class TestManifest(TestClassFolders):
    def format(self) -> Format:
        return Manifest()

    def write(self, folder: Path) -> dict[str, Label | None]:
        return layouts.manifest(folder)


class TestTabular(FormatContract):
    def format(self) -> Format:
        return Tabular()

    def task(self) -> Task:
        return BIKES

    def write(self, folder: Path) -> dict[str, Label | None]:
        text = "day,hr,temp,cnt\n2011-01-01,0,0.24,16\n2011-01-01,1,,40\n"
        put(folder / "hour.csv", text)
        return {"hour.csv#row 1": ValueLabel(16.0), "hour.csv#row 2": ValueLabel(40.0)}


def test_every_format_is_installed_by_its_entry_point() -> None:
    names = {
        "class-folders", "plain", "coco", "voc", "yolo", "manifest", "label-studio", "tabular"
    }  # fmt: skip
    assert names <= set(installed())
    assert all(made.name == name for name, made in installed().items())
    with pytest.raises(Refused, match="installed: class-folders, coco"):
        by_name("excel")


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("class_folders", ANIMALS), ("coco", CELLS), ("voc", CELLS), ("yolo", CELLS),
        ("plain_yolo", CELLS), ("manifest", ANIMALS), ("box_manifest", CELLS),
        ("label_studio", CELLS),
    ],
)  # fmt: skip
def test_each_layout_is_told_from_the_others(name: str, task: Task, tmp_path: Path) -> None:
    getattr(layouts, name)(tmp_path)
    found, why = detect(Sketch(FolderTree(tmp_path)), wanted_by(task), "in")
    expected = {"plain_yolo": "yolo", "box_manifest": "manifest"}.get(name, name)
    assert found.name == expected.replace("_", "-") and why


def test_a_doubt_is_told_with_its_candidates(tmp_path: Path) -> None:
    put(tmp_path / "Cats" / "1.png", picture(1))
    with pytest.raises(Refused, match="name one with --format") as doubt:
        take_in(DataStore(tmp_path / ".store"), tmp_path)
    assert "class-folders (it has folders (Cats)" in str(doubt.value)
    assert "plain (it holds pictures" in str(doubt.value)
    report = take_in(DataStore(tmp_path / ".store"), tmp_path, format_name="plain")
    assert (report.added, report.labelled) == (1, 0)
    layouts.coco(tmp_path)
    layouts.voc(tmp_path)
    with pytest.raises(Refused, match=r"coco \(.*voc \("):
        take_in(DataStore(tmp_path / ".store"), tmp_path, CELLS)


def test_sides_groups_times_and_the_rest_of_a_row_are_kept(tmp_path: Path) -> None:
    layouts.manifest(tmp_path / "in")
    store = DataStore(tmp_path / "store")
    take_in(store, tmp_path / "in")
    facts = {row["name"]: row for row in store.samples.facts().to_pylist()}
    first, second = facts["p/1.png"], facts["p/2.png"]
    assert (first["side"], second["side"]) == ("train", "holdout")
    assert (first["group"], json.loads(first["meta"])) == ("g1", {"camera": "left"})
    assert first["taken_at"].isoformat() == "2026-01-02T03:04:05+00:00"


def test_boxes_make_class_names_where_the_task_has_no_boxes(tmp_path: Path) -> None:
    layouts.coco(tmp_path)
    task = MultiLabelClassification(["red", "white"])
    found = {one.name: one for one in Coco().read(FolderTree(tmp_path), wanted_by(task))}
    assert found["images/1.png"].label == ClassesLabel(("red", "white"))
    one_class = wanted_by(ImageClassification(["red", "white"]))
    found = {one.name: one for one in Coco().read(FolderTree(tmp_path), one_class)}
    assert "2 classes where one is wanted" in found["images/1.png"].problems[0]


def test_a_column_is_named_where_its_name_does_not_tell(tmp_path: Path) -> None:
    put(tmp_path / "in" / "1.png", picture(1))
    put(tmp_path / "in" / "l.csv", "path,fine_label\n1.png,cat\n")
    store = DataStore(tmp_path / "store")
    with pytest.raises(Refused, match="--column label=NAME"):
        take_in(store, tmp_path / "in")
    assert take_in(store, tmp_path / "in", columns={"label": "fine_label"}).labelled == 1


def test_rows_are_canonical_whatever_file_they_come_from(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    put(tmp_path / "csv" / "a.csv", "kind,b,a\nx,007,1\ny,0.5,\n")
    task = TabularClassification("kind", ["x", "y"], ["a"])
    store = DataStore(tmp_path / "store")
    take_in(store, tmp_path / "csv", task)
    facts = store.samples.facts()
    assert sorted(store.samples.read(facts.column("id").to_pylist())) == [
        b'{"a":1,"b":"007","kind":"x"}', b'{"a":null,"b":0.5,"kind":"y"}'
    ]  # fmt: skip
    (tmp_path / "parquet").mkdir()
    table = pa.table({"a": [1], "b": ["007"], "kind": ["x"]})
    parquet.write_table(table, tmp_path / "parquet" / "a.parquet")
    again = take_in(store, tmp_path / "parquet", task)
    assert (again.added, again.known) == (0, 1)


def test_a_killed_import_goes_on_and_what_moved_is_labelled_anew(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for seed in range(30):
        put(folder / ("cat" if seed % 2 else "dog") / f"{seed}.png", picture(seed))
    store = DataStore(tmp_path / "store")
    cut = take_in(store, folder, watch=lambda progress: progress.done >= 10)
    assert not cut.finished and cut.added == 10
    rest = take_in(DataStore(tmp_path / "store"), folder)
    assert (rest.added, rest.known, rest.labelled) == (20, 10, 20)
    put(folder / "dog" / "copy.png", picture(1))
    again = take_in(store, folder)
    assert again.quarantined == {"contradiction": 1}
    assert "labelled 'cat' as cat/1.png and 'dog' here" in told(store)["dog/copy.png"]
    (folder / "cat" / "1.png").unlink()
    moved = take_in(store, folder)
    assert (moved.labelled, moved.quarantined, told(store)) == (1, {}, {})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["id", "images", "annotations", "categories", "bbox", "image_id", "file_name", "name",
             "category_id", "data", "image", "result", "value", "x", "type", "rectanglelabels"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip
_FILES = {
    "annotations/a.json",
    "e.json",
    "l.csv",
    "data.yaml",
    "labels/1.txt",
    "a.xml",
    "t.parquet",
}


@settings(max_examples=120, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(_FILES)),
        st.binary(max_size=80)
        | _JSON.map(lambda told: json.dumps(told).encode())
        | st.lists(
            st.sampled_from(["path", "label", "xmin", "1.png", ",", "\n", '"', "é", "0 1 2"])
        ).map(lambda parts: "".join(parts).encode()),
        min_size=1,
    ),
    st.sampled_from([ANIMALS, CELLS, BIKES]),
)
def test_a_reader_raises_nothing_but_refused(files: dict[str, bytes], task: Task) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        put(folder / "1.png", picture(1))
        for path, data in files.items():
            put(folder / path, data)
        tree = FolderTree(folder)
        for made in (Coco(), Voc(), Yolo(), Manifest(), LabelStudio(), Tabular(), ClassFolders()):
            made.fits(Sketch(tree), wanted_by(task))
            try:
                for one in made.read(tree, wanted_by(task)):
                    try:
                        one.read(10_000)
                    except Refused:
                        continue
            except Refused:
                continue


def test_watching_is_told_how_far_it_is(tmp_path: Path) -> None:
    layouts.class_folders(tmp_path / "in")
    seen: list[Progress] = []

    def watch(progress: Progress) -> bool:
        seen.append(progress)
        return False

    take_in(DataStore(tmp_path / "s"), tmp_path / "in", watch=watch)
    assert (seen[-1].done, seen[-1].total) == (4, 4) and seen[-1].bytes > 0


_IMPORT = """
import sys
from pathlib import Path
from everloop.data import shelf
from everloop.data.store import DataStore
from tests.support.layouts import take_in

shelf._BATCH_ROWS = 10
taken = take_in(DataStore(Path(sys.argv[1])), Path(sys.argv[2]),
                watch=lambda p: bool(p.done > 40 and print("far", flush=True)))
"""


def test_an_import_killed_by_the_system_goes_on_where_it_was(tmp_path: Path) -> None:
    for seed in range(300):
        put(tmp_path / "in" / ("cat" if seed % 2 else "dog") / f"{seed}.png", picture(seed))
    command = [sys.executable, "-c", _IMPORT, str(tmp_path / "store"), str(tmp_path / "in")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    store = DataStore(tmp_path / "store")
    before = store.samples.count()
    rest = take_in(store, tmp_path / "in")
    assert (rest.added, rest.known) == (300 - before, before)
    assert store.samples.count() == len(store.annotations.current()) == 300
