"""Real data sets as they came, with their own dirt: found and named."""

from pathlib import Path

import pytest
from tests.support.layouts import take_in, told
from tests.support.shared import SHARED, needs_shared

from everloop.data.store import DataStore
from everloop.labels import decode, names_in
from everloop.tasks.image_classification import ImageClassification
from everloop.tasks.object_detection import ObjectDetection
from everloop.tasks.tabular import TabularRegression

pytestmark = needs_shared


@pytest.fixture
def store(tmp_path: Path) -> DataStore:
    return DataStore(tmp_path / "store")


def test_the_two_boxes_of_no_area_among_blood_cells_are_named(store: DataStore) -> None:
    task = ObjectDetection(["RBC", "WBC", "Platelets"])
    report = take_in(store, SHARED / "bccd", task)
    assert (report.format, report.added, report.labelled) == ("voc", 362, 362)
    assert report.quarantined == {"bad-label": 2}
    words = told(store)
    assert set(words) == {f"JPEGImages/BloodImage_{n}.jpg" for n in ("00338", "00343")}
    assert all("(RBC) is a box of no area" in reason for reason in words.values())
    assert "504.0, 337.0, 504.0, 337.0" in words["JPEGImages/BloodImage_00338.jpg"]
    sides = store.samples.facts().column("given_side").to_pylist()
    assert (sides.count("train"), sides.count("holdout")) == (204, 158)
    boxes = sum(len(names_in(decode(a.label))) for a in store.annotations.current().values())
    assert 4_800 < boxes < 4_888


def test_symbols_in_class_folders_hold_one_picture_twice(store: DataStore) -> None:
    names = [*"0123456789", "dot", "minus", "plus", "slash", *"wxyz"]
    report = take_in(store, SHARED / "math_symbols", ImageClassification(names, (28, 28), 1))
    assert (report.added, report.known, report.quarantined) == (3_599, 1, {})


def test_groceries_are_read_by_the_column_that_is_named(store: DataStore) -> None:
    rows = (SHARED / "groceries" / "labels.csv").read_text().splitlines()[1:]
    task = ImageClassification(sorted({row.split(",")[3] for row in rows}))
    source = SHARED / "groceries"
    report = take_in(store, source, task, columns={"label": "fine_label"})
    assert (report.format, report.added, report.labelled) == ("manifest", 1_296, 1_296)
    sides = store.samples.facts().column("given_side").to_pylist()
    assert (sides.count("train"), sides.count("holdout")) == (810, 486)


def test_bike_hires_are_rows_with_a_figure_and_a_day(store: DataStore) -> None:
    task = TabularRegression("cnt", ["hr", "temp", "hum", "windspeed"], "dteday")
    report = take_in(store, SHARED / "bike_sharing", task)
    assert (report.format, report.added, report.labelled) == ("tabular", 17_379, 17_379)
    first = store.samples.facts().column("taken_at")[0].as_py()
    assert first.date().isoformat() == "2011-01-01"
    again = take_in(store, SHARED / "bike_sharing", task)
    assert (again.added, again.known, again.bytes) == (0, 17_379, 0)
