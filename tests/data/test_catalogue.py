"""The catalogue follows the tables: as they grow, shrink, are rewritten or come from elsewhere."""

import multiprocessing
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import lance
import pytest
from tests.support.clock import at
from tests.support.pictures import noise

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.catalogue import file
from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.errors import Refused, Unavailable
from everloop.ids import SampleId
from everloop_runtime.ids import sample_id

SPLIT = SplitRule(0.3)


def _id(number: int) -> SampleId:
    return sample_id(noise(number))


def _add(store: DataStore, *numbers: int, second: int = 0) -> None:
    samples = [NewSample(noise(n), "", "s", "s", group=f"g{n}", subject=f"p{n}") for n in numbers]
    store.samples.add(samples, at(second), split=SPLIT)
    store.annotations.append([_said(n, "even" if n % 2 == 0 else "odd") for n in numbers])


def _said(number: int, label: str, by: str = "import:s", second: int = 0) -> Annotation:
    kind: Any = "import" if by.startswith("import") else "person"
    name = _id(number)
    return Annotation(
        annotation_id(name, label, by, "s"), name, label, by, kind, None, at(second), "s"
    )


def _told(store: DataStore, *numbers: int) -> dict[str, Any]:
    ids = [_id(n) for n in numbers]
    standing = store.annotations.standing(ids)
    counts = store.labelled_counts()
    return {
        "places": store.samples.places(ids),
        "labels": {name: a.label for name, a in standing.items()},
        "count": store.samples.count(),
        "labelled": (counts.train, counts.holdout),
        "said": {name: store.annotations.history(name) for name in ids},
    }


@pytest.fixture
def store(tmp_path: Path) -> DataStore:
    store = DataStore(tmp_path)
    for first in range(0, 40, 10):
        _add(store, *range(first, first + 10))
    return store


def test_a_catalogue_made_anew_tells_what_the_old_one_did(store: DataStore, tmp_path: Path) -> None:
    store.annotations.append([_said(3, "even", "ann", 5)])
    before = _told(store, *range(40))
    shutil.rmtree(tmp_path / ".cache")
    assert _told(DataStore(tmp_path), *range(40)) == before


def test_a_damaged_catalogue_is_made_anew(store: DataStore, tmp_path: Path) -> None:
    before = _told(store, *range(40))
    for path in (tmp_path / ".cache").glob("catalogue*"):
        path.write_bytes(b"not a database" * 1000)
    assert _told(DataStore(tmp_path), *range(40)) == before


@pytest.mark.parametrize("table", ["bytes", "facts", "annotations"])
def test_after_a_compaction_nothing_is_lost_and_no_side_changes(
    store: DataStore, tmp_path: Path, table: str
) -> None:
    before = _told(store, *range(40))
    lance.dataset(str(tmp_path / f"{table}.lance")).optimize.compact_files()
    assert _told(store, *range(40)) == before
    assert store.samples.read([_id(7), _id(31)]) == [noise(7), noise(31)]
    _add(store, 50)
    assert store.samples.read([_id(50)]) == [noise(50)]


def test_removed_samples_are_gone_with_their_labels_and_can_come_back(
    store: DataStore, tmp_path: Path
) -> None:
    labelled = store.labelled_counts()
    gone = ", ".join(f"'{_id(n)}'" for n in (3, 4, 10, 11))
    for table, column in (("annotations", "sample"), ("facts", "id"), ("bytes", "id")):
        lance.dataset(str(tmp_path / f"{table}.lance")).delete(f"{column} IN ({gone})")
    told = _told(store, 3, 4, 5)
    assert set(told["places"]) == set(told["labels"]) == {_id(5)}
    assert told["count"] == 36
    after = store.labelled_counts()
    assert after.train + after.holdout == 36 == labelled.train + labelled.holdout - 4
    with pytest.raises(Refused):
        store.samples.read([_id(3)])
    file = next((tmp_path / ".cache").glob("*.sqlite"))
    with sqlite3.connect(file) as connection:
        assert not connection.execute("SELECT 1 FROM sample WHERE subject = 'p3'").fetchall()
        assert not connection.execute("SELECT 1 FROM team WHERE name = 'g3'").fetchall()
    _add(store, 3)
    assert store.samples.read([_id(3)]) == [noise(3)]
    assert store.annotations.standing([_id(3)])[_id(3)].label == "odd"


def test_tables_that_came_from_a_backup_are_read_anew(store: DataStore, tmp_path: Path) -> None:
    other = DataStore(tmp_path / "other")
    for first in range(100, 140, 10):
        _add(other, *range(first, first + 10))
    for table in ("bytes", "facts", "annotations"):
        shutil.rmtree(tmp_path / f"{table}.lance")
        shutil.copytree(tmp_path / "other" / f"{table}.lance", tmp_path / f"{table}.lance")
    again = DataStore(tmp_path)
    assert again.samples.count() == store.samples.count() == 40
    assert not again.samples.places([_id(3)])
    assert again.samples.read([_id(103)]) == [noise(103)]


def _grow(arguments: tuple[Path, int]) -> list[int]:
    folder, first = arguments
    store = DataStore(folder)
    counts = []
    for number in range(first, first + 5):
        _add(store, number, second=number)
        counts.append(store.samples.count())
    return counts


def test_processes_share_one_catalogue(store: DataStore, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        counts = pool.map(_grow, [(tmp_path, first) for first in (100, 200, 300)])
    assert all(each == sorted(each) for each in counts)
    numbers = [first + n for first in (100, 200, 300) for n in range(5)]
    told = _told(store, *numbers)
    assert told["count"] == 55
    assert len(told["labels"]) == 15


def test_the_standing_label_is_the_same_in_whatever_order_it_was_said(tmp_path: Path) -> None:
    said = [_said(1, label, by, 5) for label in ("a", "b", "c") for by in ("ann", "bob")]
    found = set()
    for name, order in (("one", 1), ("two", -1)):
        other = DataStore(tmp_path / name)
        for each in said[::order]:
            other.annotations.append([each])
        found.add(other.annotations.standing([_id(1)])[_id(1)].id)
    assert len(found) == 1


def test_a_locked_catalogue_is_waited_for_within_a_bound_and_drops_nothing(
    store: DataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.samples.count()
    (path,) = tmp_path.rglob("catalogue-*.sqlite")
    monkeypatch.setattr(file, "_PATIENCE_S", 0.1)
    waiting = DataStore(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            _add(waiting, 500, 501)
            waiting.samples.count()
        other.execute("ROLLBACK")
    _add(waiting, 500, 501)
    assert waiting.samples.count() == before + 2
    assert waiting.samples.read([_id(500), _id(501)]) == [noise(500), noise(501)]
    assert set(_told(waiting, 500, 501)["labels"].values()) == {"even", "odd"}
