"""Snapshots: named by content alone, never changed, cheap to follow up, refused when they leak."""

import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.test_old_store import FIRST, SECOND, folder
from tests.support.clock import at

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.catalogue.file import CatalogueFile
from everloop.data.leaks import Draft, Leak
from everloop.data.samples import NewSample
from everloop.data.snapshot_diff import diff
from everloop.data.snapshots import Snapshot
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.data.take import Taken, take
from everloop.errors import Conflict, Refused
from everloop.ids import SampleId, SnapshotId
from everloop_runtime.ids import sample_id

__all__ = ["folder"]
CLASSES = ("a", "b", "c")
SPLIT = SplitRule(0.4)


def _data(number: int) -> bytes:
    return b"sample %d" % number


def _id(number: int) -> SampleId:
    return sample_id(_data(number))


def _add(store: DataStore, numbers: Sequence[int]) -> None:
    store.samples.add((NewSample(_data(n), "", "s", "s") for n in numbers), at(0), split=SPLIT)


def _say(store: DataStore, said: Mapping[int, str], second: float, by: str = "import:s") -> None:
    kind: Any = "import" if by.startswith("import") else "person"
    store.annotations.append(
        [
            Annotation(
                annotation_id(_id(n), label, by, f"{second}"),
                _id(n), label, by, kind, None, at(second), f"{second}",
            )
            for n, label in said.items()
        ]
    )  # fmt: skip


def _take(store: DataStore, second: float = 0) -> Taken:
    return take(store, classes=CLASSES, now=at(second), split=SPLIT)


def _labels(snapshot: Snapshot) -> dict[str, str]:
    columns = (snapshot.rows.column(name).to_pylist() for name in ("sample", "label"))
    return dict(zip(*columns, strict=True))


@contextmanager
def _fresh() -> Iterator[DataStore]:
    with tempfile.TemporaryDirectory() as place:
        yield DataStore(Path(place))


@dataclass(frozen=True)
class Step:
    """Samples come, are labelled, and perhaps some are left out."""

    add: frozenset[int]
    say: Mapping[int, str]
    leave_out: frozenset[int]


_numbers = st.integers(0, 25)
_steps = st.lists(
    st.builds(
        Step,
        st.frozensets(_numbers, max_size=12),
        # A label that is no class of the task keeps its sample out.
        st.dictionaries(_numbers, st.sampled_from((*CLASSES, "other")), max_size=12),
        st.frozensets(_numbers, max_size=2),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=12, deadline=timedelta(seconds=60))
@given(_steps)
def test_step_by_step_or_at_once_in_any_order_content_names_the_snapshot(
    steps: list[Step],
) -> None:
    with _fresh() as one, _fresh() as other:
        history: list[tuple[Taken, dict[SampleId, str]]] = []
        expected: dict[int, str] = {}
        present, out = set[int](), set[int]()
        for second, step in enumerate(steps):
            _add(one, sorted(step.add))
            _say(one, step.say, second)
            one.exclusions.leave_out([_id(n) for n in step.leave_out], "odd", by="ann", now=at(0))
            present |= step.add
            out |= step.leave_out
            expected.update(step.say)
            taken = _take(one, second)
            labels = {
                _id(n): label
                for n, label in expected.items()
                if n in present and n not in out and label in CLASSES
            }
            history.append((taken, labels))
            assert taken.train + taken.holdout == len(labels)
        for second, step in reversed(list(enumerate(steps))):
            _say(other, step.say, second)
        _add(other, sorted(present, reverse=True))
        other.exclusions.leave_out([_id(n) for n in sorted(out)], "odd", by="bob", now=at(9))
        assert _take(other).id == history[-1][0].id
        _check_history(one, history)


def _check_history(store: DataStore, history: list[tuple[Taken, dict[SampleId, str]]]) -> None:
    for taken, labels in history:
        snapshot = store.snapshots.open(taken.id)
        assert _labels(snapshot) == labels
        assert list(labels) == [] or snapshot.rows.column("sample").to_pylist() == sorted(labels)
        assert {name: row.label for name, row in snapshot.find(list(labels)).items()} == labels
    for old, before in history:
        for new, after in history:
            change = diff(store.snapshots, old.id, new.id)
            assert set(change.added) == after.keys() - before.keys()
            assert set(change.removed) == before.keys() - after.keys()
            assert {(r.sample, r.old, r.new) for r in change.relabelled} == {
                (name, before[name], after[name])
                for name in before.keys() & after.keys()
                if before[name] != after[name]
            }


@pytest.fixture
def store(tmp_path: Path) -> DataStore:
    store = DataStore(tmp_path / "store")
    _add(store, range(60))
    _say(store, {n: CLASSES[n % 3] for n in range(60)}, 0)
    return store


def _files(place: Path) -> dict[str, int]:
    found = (path for path in (place / "snapshots").rglob("*") if path.is_file())
    return {path.relative_to(place).as_posix(): path.stat().st_size for path in found}


def test_a_new_snapshot_writes_what_changed_and_segments_stay_few(
    store: DataStore, tmp_path: Path
) -> None:
    _take(store)
    before = _files(tmp_path / "store")
    for number in range(100, 130):
        _add(store, [number])
        _say(store, {number: "a"}, number)
        taken = _take(store, number)
        assert len(store.snapshots.open(taken.id).keys) <= 6
    assert before.items() <= _files(tmp_path / "store").items()
    assert len(store.snapshots.open(taken.id)) == 90
    everything = {key.removeprefix("snapshots/") for key in _files(tmp_path / "store")}
    assert store.snapshots.reached() == everything


def test_without_its_catalogue_a_store_gives_the_same_snapshot_and_goes_on_from_the_last(
    store: DataStore, tmp_path: Path
) -> None:
    first = _take(store)
    _add(store, [70])
    _say(store, {70: "b", 3: "c"}, 5)
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / ".cache")
    copy = DataStore(tmp_path / "copy")
    assert _take(copy, 9).id == _take(store, 9).id
    manifest = copy.snapshots.open(_take(copy).id).manifest
    assert (manifest["parent"], manifest["delta_rows"]) == (first.id, 2)


def test_a_removed_sample_is_not_in_the_next_snapshot_with_or_without_the_catalogue(
    store: DataStore, tmp_path: Path
) -> None:
    import lance

    old = _take(store)
    for table, column in (("annotations", "sample"), ("facts", "id"), ("bytes", "id")):
        lance.dataset(str(tmp_path / "store" / f"{table}.lance")).delete(f"{column} = '{_id(5)}'")
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / ".cache")
    new = _take(store)
    assert _take(DataStore(tmp_path / "copy")).id == new.id
    assert diff(store.snapshots, old.id, new.id).removed == (_id(5),)
    assert _id(5) in _labels(store.snapshots.open(old.id))


def test_a_diff_tells_by_whom(store: DataStore) -> None:
    old = _take(store)
    _say(store, {1: "a", 2: "a"}, 3, "ann")
    _add(store, [80, 81])
    _say(store, {80: "a"}, 3, "ann")
    _say(store, {81: "a"}, 3)
    change = diff(store.snapshots, old.id, _take(store).id)
    assert {(r.old, r.by) for r in change.relabelled} == {("b", "ann"), ("c", "ann")}
    assert change.added_by == {"ann": 1, "import:s": 1}
    back = diff(store.snapshots, _take(store).id, old.id)
    assert (set(back.removed), back.added) == ({_id(80), _id(81)}, ())


def test_what_is_left_out_is_pinned_with_its_reason_and_can_come_back(store: DataStore) -> None:
    whole = _take(store)
    assert store.exclusions.leave_out([_id(1), _id(2)], "blurred", by="ann", now=at(1)) == 2
    assert store.exclusions.leave_out([_id(1)], "again", by="ann", now=at(1)) == 0
    less = store.snapshots.open(_take(store).id)
    assert len(less) == 58
    assert store.snapshots.excluded(less) == {_id(1): "blurred", _id(2): "blurred"}
    assert store.exclusions.take_back([_id(1), _id(2)], by="bob", now=at(2)) == 2
    assert _take(store).id == whole.id


def test_a_leak_between_the_sides_stops_the_snapshot(store: DataStore) -> None:
    drafts: list[Draft] = []

    def clean(draft: Draft) -> list[Leak]:
        drafts.append(draft)
        return []

    def leaking(draft: Draft) -> list[Leak]:
        drafts.append(draft)
        return [Leak(_id(1), _id(2), "the same picture, a little darker")]

    old = take(store, classes=CLASSES, now=at(0), split=SPLIT, leaks=clean)
    assert drafts[0].came.num_rows == 60
    _add(store, [90])
    _say(store, {90: "a"}, 1)
    with pytest.raises(Refused, match=r"1 pairs .* a little darker; leave one of each out"):
        take(store, classes=CLASSES, now=at(0), split=SPLIT, leaks=leaking)
    assert [s.id for s in store.snapshots.list()] == [old.id]
    assert drafts[1].came.column("sample").to_pylist() == [_id(90)]
    sides = {name: placed.side for name, placed in store.samples.places([_id(1), _id(90)]).items()}
    assert drafts[1].sides([_id(1), _id(90), _id(999)]) == sides
    again = take(store, classes=CLASSES, now=at(0), split=SPLIT, leaks=clean)
    assert drafts[2].came.num_rows == 1
    assert len(store.snapshots.open(again.id)) == 61


def test_a_tag_names_a_snapshot_and_may_move(store: DataStore) -> None:
    old = _take(store).id
    store.snapshots.tag("v1.0", old)
    assert store.snapshots.find("v1.0").id == old
    _say(store, {1: "a"}, 3, "ann")
    new = _take(store).id
    store.snapshots.tag("v1.0", new)
    assert dict(store.snapshots.tags) == {"v1.0": new}
    for wrong in ("", "../x", "abc123", "0"):
        with pytest.raises(Refused):
            store.snapshots.tag(wrong, new)


def _take_often(arguments: tuple[Path, int]) -> list[str]:
    place, first = arguments
    store = DataStore(place)
    taken: list[str] = []
    for number in range(first, first + 3):
        _add(store, [number])
        _say(store, {number: "a"}, number)
        taken.append(_take(store, number).id)
    return taken


def test_two_processes_take_snapshots_at_once_and_each_can_be_opened(
    store: DataStore, tmp_path: Path
) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        taken = pool.map(_take_often, [(tmp_path / "store", 200), (tmp_path / "store", 300)])
    last = store.snapshots.open(_take(store).id)
    assert len(last) == 66
    for snapshot in {s for each in taken for s in each}:
        opened = store.snapshots.open(SnapshotId(snapshot))
        assert opened.rows.num_rows == len(opened)


def test_readers_wait_for_no_writer(store: DataStore, tmp_path: Path) -> None:
    taken = _take(store)
    assert store.samples.read([_id(3)]) == [_data(3)]
    with CatalogueFile(tmp_path / "store" / ".cache").writing():
        other = DataStore(tmp_path / "store")
        assert other.samples.read([_id(3)]) == [_data(3)]
        assert other.labelled_counts().train == taken.train
        assert len(_labels(other.snapshots.open(taken.id))) == 60


def test_snapshots_of_an_old_store_open_and_compare_with_new_ones(folder: Path) -> None:
    store = DataStore(folder)
    assert [s.id for s in store.snapshots.list()] == [FIRST, SECOND]
    old, second = store.snapshots.list()
    assert (len(old), old.rows.num_rows, len(second)) == (8, 8, 12)
    change = diff(store.snapshots, old.id, second.id)
    assert (len(change.added), [r.by for r in change.relabelled]) == (4, ["ann"])
    new = take(store, classes=("lying", "upright"), now=at(99), split=SPLIT)
    same = diff(store.snapshots, second.id, new.id)
    assert (same.added, same.removed, same.relabelled) == ((), (), ())
    assert store.snapshots.find(FIRST[:6]).summary()["train"] == 6


def test_a_tag_moved_by_two_at_once_is_a_conflict(
    store: DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from everloop.data.tags import Tags

    first = _take(store).id
    _say(store, {1: "a"}, 3, "ann")
    second = _take(store).id
    store.snapshots.tag("live", first)
    # As the other one sees it that looked before the first move.
    monkeypatch.setattr(Tags, "_moves", lambda *_: [])
    with pytest.raises(Conflict, match="moved by another"):
        store.snapshots.tag("live", second)


def _grow_for_ever(place: Path, told: Connection) -> None:
    store = DataStore(place)
    for number in range(1_000, 2_000):
        _add(store, [number, -number])
        _say(store, {number: "a", -number: "b"}, number)
        told.send(_take(store, number).id)


@pytest.mark.parametrize("steps", [1, 3])
def test_killed_anywhere_a_store_is_whole_and_goes_on(
    store: DataStore, tmp_path: Path, steps: int
) -> None:
    context = multiprocessing.get_context("spawn")
    told, tell = context.Pipe(duplex=False)
    process = context.Process(target=_grow_for_ever, args=(tmp_path / "store", tell), daemon=True)
    process.start()
    taken = [told.recv() for _ in range(steps)]
    # In the middle of the next step, wherever that is.
    process.kill()
    process.join()
    for snapshot in taken:
        opened = store.snapshots.open(snapshot)
        assert opened.rows.num_rows == len(opened)
    facts = store.samples.facts().column("id").to_pylist()
    assert len(set(facts)) == len(facts) >= 60 + 2 * steps
    assert [sample_id(data) for data in store.samples.read(facts)] == facts
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / ".cache")
    last = _take(store)
    assert _take(DataStore(tmp_path / "copy")).id == last.id
    _add(store, [5_000])
    _say(store, {5_000: "c"}, 1)
    assert len(store.snapshots.open(_take(store).id)) == last.train + last.holdout + 1
