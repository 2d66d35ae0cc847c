"""A source that changes its mind, and changes it back: what it said last is what stands."""

from pathlib import Path

import lance
from tests.support.clock import at
from tests.support.layouts import ANIMALS, picture, put, take_in

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.ingest import IngestReport, IngestRules, ingest
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop_runtime.ids import sample_id
from everloop_runtime.images import ImageLimits

SAMPLE = sample_id(picture(1))


def _labelled(folder: Path, label: str, rows: int = 1) -> Path:
    """A table that says a picture is a cat or a dog."""
    for seed in range(1, rows + 1):
        if not (folder / f"{seed}.png").exists():
            put(folder / f"{seed}.png", picture(seed))
    told = "".join(f"{seed}.png,{label}\n" for seed in range(1, rows + 1))
    put(folder / "labels.csv", f"path,label\n{told}")
    return folder


def _standing(store: DataStore) -> str:
    return store.annotations.standing([SAMPLE])[SAMPLE].label


def test_a_label_that_returns_to_what_it_was_is_recorded_and_said_again_is_not(
    tmp_path: Path,
) -> None:
    store, said = DataStore(tmp_path / "store"), []
    for label in ("cat", "dog", "cat", "cat", "dog", "dog", "cat"):
        folder = _labelled(tmp_path / "in", label)
        first = take_in(store, folder)
        assert _standing(store) == label
        again = take_in(DataStore(tmp_path / "store"), folder)
        assert (again.added, again.labelled) == (0, 0)
        said.append(first.labelled)
    assert said == [1, 1, 1, 0, 1, 0, 1]
    history = [told.label for told in store.annotations.history(SAMPLE)]
    assert history == ["cat", "dog", "cat", "dog", "cat"]


def test_a_store_whose_catalogue_is_lost_stands_by_the_same_labels(tmp_path: Path) -> None:
    store = DataStore(tmp_path / "store", tmp_path / "cache")
    for label in ("cat", "dog", "cat"):
        take_in(store, _labelled(tmp_path / "in", label))
    elsewhere = DataStore(tmp_path / "store", tmp_path / "another")
    assert _standing(elsewhere) == "cat"
    assert take_in(elsewhere, tmp_path / "in").labelled == 0


def _on(store: DataStore, folder: Path, day: int) -> IngestReport:
    rules = IngestRules(ANIMALS, ImageLimits(), SplitRule(0.3))
    return ingest(store, folder, source="in", rules=rules, now=at(day * 86_400))


def test_a_return_stands_though_the_clock_was_put_back_three_days(tmp_path: Path) -> None:
    store = DataStore(tmp_path / "store")
    for day, label in ((10, "cat"), (7, "dog"), (8, "cat")):
        assert _on(store, _labelled(tmp_path / "in", label), day).labelled == 1
        assert _standing(store) == label


def test_what_a_source_said_is_known_also_where_a_persons_word_stands(tmp_path: Path) -> None:
    store = DataStore(tmp_path / "store")
    take_in(store, _labelled(tmp_path / "in", "cat", rows=3))
    name = annotation_id(SAMPLE, "dog", "kim", "round")
    store.annotations.append(
        [Annotation(name, SAMPLE, "dog", "kim", "person", None, at(5), "round")]
    )
    for label, new in (("dog", 3), ("dog", 0), ("cat", 3), ("cat", 0)):
        folder = _labelled(tmp_path / "in", label, rows=3)
        for seed in (1, 2, 3):
            (folder / f"{seed}.png").touch()
        assert take_in(store, folder).labelled == new
        assert _standing(store) == "dog"
    said = [told.label for told in store.annotations.history(SAMPLE) if told.by == "import:in"]
    assert said == ["cat", "dog", "cat"]


def test_a_file_moved_to_another_class_and_back_is_of_its_first_class_again(
    tmp_path: Path,
) -> None:
    store, folder = DataStore(tmp_path / "store"), tmp_path / "in"
    put(folder / "dog" / "2.png", picture(2))
    path = put(folder / "cat" / "1.png", picture(1))
    assert take_in(store, folder).labelled == 2
    for label in ("dog", "cat", "dog"):
        path = path.rename(folder / label / "1.png")
        assert take_in(store, folder).labelled == 1
        assert _standing(store) == label


def test_twins_of_one_label_or_without_one_are_not_read_again(tmp_path: Path) -> None:
    store, folder = DataStore(tmp_path / "store"), tmp_path / "in"
    for name in ("cat/1.png", "cat/again.png", "plain.png", "dog/2.png"):
        put(folder / name, picture(2 if "2" in name else 1))
    assert take_in(store, folder).added == 2
    for _ in range(2):
        again = take_in(store, folder)
        assert (again.known, again.bytes) == (4, 0)


def test_rows_of_an_older_store_are_still_known(tmp_path: Path) -> None:
    store, folder = DataStore(tmp_path / "store"), _labelled(tmp_path / "in", "cat", rows=3)
    take_in(store, folder)
    place = tmp_path / "store" / "arrivals.lance"
    lance.dataset(str(place)).drop_columns(["sample", "label"])
    older = DataStore(tmp_path / "store")
    assert take_in(older, folder).bytes == 0
    put(folder / "4.png", picture(4))
    assert take_in(older, folder).added == 1
    assert take_in(DataStore(tmp_path / "store"), folder).bytes == 0
