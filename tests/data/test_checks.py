"""A store checked whole: what was planted is found, what is sound is left alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from tests.support import hostile
from tests.support.clock import at
from tests.support.pictures import png
from tests.support.scenes import jpeg, scene

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.checks.enough import Needs, enough_to_start, fit_curve
from everloop.data.checks.inspect import Report, Wanted, inspect
from everloop.data.checks.labelled import Labelled, wrong_labels
from everloop.data.checks.leaks import leaking_pairs
from everloop.data.checks.page import page
from everloop.data.examined import DecodingLimits
from everloop.data.ingest import IngestRules, ingest
from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop.labels import Box, BoxesLabel, ClassLabel, encode
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.images import ImageLimits

CLASSES = ("cat", "dog")
LIMITS = DecodingLimits(ImageLimits())
WANTED = Wanted(CLASSES, Needs(20, 5, 2), LIMITS)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DataStore:
    """Sixty sound pictures, and one of each kind of dirt."""
    folder = tmp_path_factory.mktemp("dirty") / "in"
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
    for seed in range(60):
        (folder / CLASSES[seed % 2] / f"{seed}.jpg").write_bytes(jpeg(scene(seed)))
    cat = folder / "cat"
    (cat / "copy.jpg").write_bytes((cat / "0.jpg").read_bytes())
    (cat / "again.jpg").write_bytes(jpeg(scene(2).resize((70, 70)), 60))
    (folder / "dog" / "same.jpg").write_bytes(jpeg(scene(4), 50))
    (cat / "night.png").write_bytes(png(scene(100).point(lambda value: value // 25)))
    (cat / "glare.png").write_bytes(png(scene(101).point(lambda value: 235 + value // 13)))
    (cat / "grey.png").write_bytes(png(Image.new("RGB", (96, 96), (120, 121, 120))))
    (cat / "soft.png").write_bytes(png(scene(102).filter(ImageFilter.GaussianBlur(6))))
    (cat / "strip.png").write_bytes(png(scene(103).resize((1200, 40))))
    (cat / "film.gif").write_bytes(hostile.gif_of(3))
    (cat / "cut.jpg").write_bytes(jpeg(scene(104))[:900])
    store = DataStore(folder.parent / "store")
    task = ImageClassification(CLASSES, (32, 32), 3)
    rules = IngestRules(task, ImageLimits(), SplitRule(0.3))
    ingest(store, folder, source="in", rules=rules, now=at(0))
    return store


@pytest.fixture(scope="module")
def report(store: DataStore) -> Report:
    return inspect(store, WANTED)


def _told(report: Report, code: str) -> list[tuple[str, ...]]:
    [finding] = [f for f in report.findings if f.code == code]
    return [
        tuple(sorted(report.names[sample].rpartition("/")[2] for sample in item.samples))
        for item in finding.items
    ]


def test_near_duplicates_are_found_on_one_side_and_across(report: Report) -> None:
    codes = {"near-duplicates", "near-duplicates-across-sides"}
    found = [pair for f in report.findings if f.code in codes for pair in _told(report, f.code)]
    assert sorted(found) == [("2.jpg", "again.jpg"), ("4.jpg", "same.jpg")]


def test_one_picture_under_two_labels_is_found(report: Report) -> None:
    assert _told(report, "contradiction") == [("4.jpg", "same.jpg")]


def test_exact_duplicates_are_told_with_both_names(report: Report) -> None:
    [finding] = [f for f in report.findings if f.code == "exact-duplicates"]
    assert [item.text for item in finding.items] == ["cat/0.jpg and cat/copy.jpg"]


def test_pictures_that_stand_out_are_told_and_no_other(report: Report) -> None:
    assert set(_told(report, "dark")) == {("night.png",), ("film.gif",)}
    assert _told(report, "bright") == [("glare.png",)]
    assert ("grey.png",) in _told(report, "flat")
    assert set(_told(report, "blurred")) >= {("soft.png",)}
    assert set(_told(report, "odd-size")) == {("strip.png",), ("film.gif",)}
    assert _told(report, "several-frames") == [("film.gif",)]
    told = {
        name for f in report.findings for item in f.items for s in item.samples
        if (name := report.names[s]).rpartition("/")[2].removesuffix(".jpg").isdigit()
    }  # fmt: skip
    copied = {"cat/0.jpg", "cat/copy.jpg", "cat/2.jpg", "cat/4.jpg"}
    assert told <= copied


def test_what_is_set_aside_is_counted_by_reason(report: Report) -> None:
    assert report.quarantined == {"broken": 1}


def test_the_page_shows_small_pictures_encoded_anew_and_runs_nothing(
    report: Report, store: DataStore
) -> None:
    nasty = replace(report, names=dict.fromkeys(report.names, "<img onerror=alert(1)>"))
    text = page(nasty, store, ImageLimits())
    assert "<img onerror" not in text and "&lt;img onerror" in text
    assert text.count("data:image/jpeg;base64,") > 8
    assert "default-src 'none'" in text and "<script" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_only_one_source_is_checked_when_asked(store: DataStore) -> None:
    assert inspect(store, replace(WANTED, source="nowhere")).samples == 0


def test_samples_that_were_never_examined_are_examined_first(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    pictures = [NewSample(jpeg(scene(seed)), str(seed), "s", "s") for seed in range(10)]
    twice = NewSample(jpeg(scene(3), 40), "again", "s", "s")
    bad = NewSample(b"<html>", "bad", "s", "s")
    store.samples.add([*pictures, twice, bad], at(0), split=SplitRule(0.3))
    report = inspect(store, WANTED)
    assert _told(report, "undecodable") == [("bad",)]
    assert store.examinations.count() == 11


def test_a_leak_is_found_among_what_came_and_with_what_was_there(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    old = [NewSample(jpeg(scene(seed)), str(seed), "s", "s") for seed in range(40)]
    olds = store.samples.add(old, at(0), split=SplitRule(0.3))
    new = [
        NewSample(jpeg(scene(5), 50), "copy", "s", "s"),
        NewSample(jpeg(scene(90)), "other", "s", "s"),
    ]
    news = store.samples.add(new, at(1), split=SplitRule(0.3))
    leaking_pairs(store, olds, lambda names: dict.fromkeys(names, "train"), LIMITS)

    def sides(names: object) -> dict[SampleId, str]:
        assert len(list(names)) <= 2  # type: ignore[call-overload]
        return {name: "holdout" if name in news else "train" for name in (*olds, *news)}

    [(train, holdout, left)] = leaking_pairs(store, news, sides, LIMITS)
    assert (train, holdout) == (olds[5], news[0]) and left < 0.01
    assert leaking_pairs(store, olds, lambda _: {}, LIMITS) == []


def _boxes(*boxes: Box) -> Labelled:
    return Labelled(SampleId("a" * 64), "train", encode(BoxesLabel(boxes)), "ann", (100, 50))


def test_boxes_that_cannot_be_are_told() -> None:
    rows = [
        _boxes(Box("cat", 10, 10, 10, 10), Box("cat", 0, 0, 100, 50)),
        _boxes(Box("cat", 10, 10, 120, 40), Box("cow", 1, 1, 9, 9), Box("cow", 1, 1, 9, 9)),
        _boxes(Box("dog", -0.4, 0, 100.4, 50)),
    ]
    found = {finding.code: finding.count for finding in wrong_labels(rows, CLASSES)}
    assert found == {
        "label-outside-task": 1, "zero-size-box": 1, "box-outside-image": 1, "box-twice": 1,
    }  # fmt: skip


def _rows(**counts: int) -> list[Labelled]:
    return [
        Labelled(SampleId(f"{name}{n}"), side, encode(ClassLabel(name)), "ann", None)
        for key, count in counts.items()
        for name, side in (key.split("_"),)
        for n in range(count)
    ]


def test_whether_there_is_enough_is_told_with_what_is_wanting() -> None:
    rows = _rows(cat_train=30, cat_holdout=3, dog_train=4, dog_holdout=1)
    told = enough_to_start(rows, CLASSES, Needs(50, 5, 2))
    assert told.missing == (
        "16 more labelled training samples",
        "1 more of 'dog' for train (4 of 5)",
        "1 more of 'dog' for holdout (1 of 2)",
    )
    assert told.holdout_margin == pytest.approx(0.49)
    assert 1 < told.effective_classes < 2
    assert enough_to_start(rows, CLASSES, Needs(30, 4, 1)).missing == ()
    assert enough_to_start([], CLASSES, Needs(0, 0, 0)).holdout_margin == 1.0


def test_a_learning_curve_needs_three_sizes_and_foretells_the_fourth() -> None:
    generator = np.random.default_rng(0)
    points = [
        (n, 1.5 * n**-0.4 + 0.03 + generator.normal() * 0.002) for n in (50, 100, 200, 400, 800)
    ]
    curve = fit_curve(points)
    assert curve.at(3200) == pytest.approx(1.5 * 3200**-0.4 + 0.03, abs=0.015)
    with pytest.raises(Refused, match="three different amounts"):
        fit_curve(points[:2])


def test_an_annotation_that_is_no_label_of_the_task_is_told(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    [sample] = store.samples.add(
        [NewSample(jpeg(scene(1)), "1", "s", "s")], at(0), split=SplitRule(0.3)
    )
    name = annotation_id(sample, "cow", "ann", "o")
    told = Annotation(name, sample, "cow", "ann", "person", None, at(0), "o")
    store.annotations.append([told])
    assert _told(inspect(store, WANTED), "label-outside-task") == [("1",)]
